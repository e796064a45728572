-- Time to first call: from sign-up to the first successful API call. Five minutes is the bar.
-- since = : of those who signed up from then on, UTC; empty for all
WITH
    subjects AS
    (
        SELECT 'developer' AS level, signup_at, time_to_first_call_seconds AS seconds FROM developers WHERE NOT is_internal AND NOT is_bot
        UNION ALL
        SELECT 'company' AS level, signup_at, time_to_first_call_seconds AS seconds FROM companies WHERE NOT is_internal
    )
SELECT
    level,
    count() AS signed_up,
    countIf(isNotNull(seconds)) AS called,
    round(quantileExactIf(0.5)(assumeNotNull(seconds), isNotNull(seconds)) / 60, 1) AS median_minutes,
    round(quantileExactIf(0.9)(assumeNotNull(seconds), isNotNull(seconds)) / 60, 1) AS p90_minutes,
    round(100 * countIf(seconds <= 300) / nullIf(called, 0), 1) AS percent_within_5_minutes
FROM subjects
WHERE isNotNull(signup_at) AND signup_at >= coalesce(parseDateTime64BestEffortOrNull({since:String}, 3, 'UTC'), toDateTime64(0, 3, 'UTC'))
GROUP BY level
ORDER BY level DESC

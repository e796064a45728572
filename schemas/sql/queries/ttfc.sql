-- title: Time to first call
-- description: >-
--   From sign-up to the first successful API call. Five minutes is the bar. A call before the sign-up makes the time
--   negative. It counts as it is: as a first call within five minutes, and in the median. `called_before_signup` counts
--   them.
-- topic: activation
-- parameters:
--   level: {values: [developer, company], meaning: empty for both}
--   by:
--     values: [all, week]
--     default: all
--     meaning: week is the ISO week of the sign-up, of which late ones still have time to call
--   from: {type: Time, meaning: 'of those who signed up after this time, UTC; empty for all'}
--   to: {type: Time, meaning: and at this time at the latest; empty for all}
--   company: {names: companies, meaning: only this company and its developers; empty for all}
--   segment: {names: segments, meaning: 'by the values of this segment, as technology; empty for all together'}
--   value: {meaning: only this value of the segment; empty for each}
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
-- chart: {kind: bar, label: signup_week, numbers: [called_percent, median_minutes]}
-- columns:
--   level: developer or company
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   signup_week: Monday of the week of the sign-up; NULL if all weeks are one
--   signed_up: how many
--   called: of these, with a successful call
--   called_percent: of those signed up
--   called_before_signup: of those who called, before they signed up
--   median_minutes: from sign-up to the first call
--   p90_minutes: 90th percentile of the same
--   called_within_5_minutes: of those who called
--   percent_within_5_minutes: of those who called
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    signed_up AS
    (
        SELECT
            level,
            if({segment:String} = '', '', segments[{segment:String}]) AS segment_value,
            if({by:String} = 'week', toNullable(signup_week), NULL) AS week,
            if(first_call_at <= as_of, time_to_first_call_seconds, NULL) AS seconds
        FROM signups
        WHERE signup_at <= as_of AND signup_at > after AND signup_at <= until
            AND ({level:String} = '' OR level = {level:String})
            AND ({company:String} = '' OR company_id = {company:String})
            AND ({value:String} = '' OR segment_value = {value:String})
    )
SELECT
    level, segment_value, week AS signup_week,
    count() AS signed_up,
    countIf(isNotNull(seconds)) AS called,
    round(100 * called / signed_up, 2) AS called_percent,
    countIf(seconds < 0) AS called_before_signup,
    round(quantileExactInclusiveOrNull(0.5)(seconds) / 60, 2) AS median_minutes,
    round(quantileExactInclusiveOrNull(0.9)(seconds) / 60, 2) AS p90_minutes,
    countIf(seconds <= 300) AS called_within_5_minutes,
    round(100 * called_within_5_minutes / nullIf(called, 0), 2) AS percent_within_5_minutes
FROM signed_up
GROUP BY level, segment_value, week
ORDER BY level DESC, segment_value, week

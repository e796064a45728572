-- title: Of those who signed up, how many had been touched before
-- description: >-
--   By anything, and by a piece of content (whatever the selector of touches matches). Of a company, its first sign-up
--   and the touches of all its people count.
-- topic: attribution
-- parameters:
--   per: {values: [week, all], default: week, meaning: 'week is by its Monday, UTC; all has one row a level'}
--   from: {type: Time, meaning: 'sign-ups after this time, UTC; empty for all'}
--   to: {type: Time, meaning: and at this time at the latest; empty for all}
-- chart: {kind: bar, label: week, numbers: [touched_percent, content_percent]}
-- columns:
--   level: developer or company
--   week: Monday of the week of the sign-up
--   signed_up: sign-ups of the week
--   touched_before: with any touch before it; one at the very moment is no touch before
--   content_before: with a piece of content among these
--   touched_percent: of the sign-ups
--   content_percent: of the sign-ups
WITH
    signups AS
    (
        SELECT level, cityHash64(subject_id) AS subject_hash, converted_at FROM conversions
        WHERE conversion = 'signup'
            AND converted_at > coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64(0, 3, 'UTC'))
            AND converted_at <= coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01', 3, 'UTC'))
    ),
    firsts AS
    (
        SELECT level, subject_hash, minOrNull(touched_at) AS first_touch_at, minOrNullIf(touched_at, is_content) AS first_content_at
        FROM touches
        WHERE subject_hash IN (SELECT subject_hash FROM signups)
        GROUP BY level, subject_hash
    )
SELECT
    level,
    if({per:String} = 'week', toString(toMonday(converted_at - toIntervalMillisecond(1))), 'all') AS week,
    count() AS signed_up,
    countIf(first_touch_at < converted_at) AS touched_before,
    countIf(first_content_at < converted_at) AS content_before,
    round(100 * touched_before / signed_up, 1) AS touched_percent,
    round(100 * content_before / signed_up, 1) AS content_percent
FROM signups
LEFT JOIN firsts USING (level, subject_hash)
GROUP BY level, week
ORDER BY level DESC, week

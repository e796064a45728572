-- title: Whether sign-ups follow outreach
-- description: >-
--   The correlation (Pearson's r) of the outreach of each week with the sign-ups so many weeks later, by value of a
--   segment and for all together. No r with too few pairs of weeks, or where one side is always the same. A correlation
--   is no cause: a season, a release or the calendar of conferences moves both.
-- topic: attribution
-- parameters:
--   segment: {default: technology, names: read_segments, meaning: a segment that is read from events}
--   level: {values: [developer, company], default: developer, meaning: the level of touches and sign-ups}
--   measure:
--     values: [outreach, touches]
--     default: outreach
--     meaning: outreach counts events held, touches pieces of content that people touched
--   lags: {type: UInt16, default: 8, meaning: up to so many weeks later}
--   least: {type: UInt16, default: 5, meaning: with fewer pairs of weeks there is no r}
--   at: {type: Time, meaning: 'weeks whose last day has begun by this time, UTC; empty for the latest event'}
-- columns:
--   value: 'of the segment; (all): all together'
--   lag_weeks: how many weeks later the sign-ups are
--   pairs_of_weeks: that the correlation is of
--   r: Pearson's correlation; NULL where it has no meaning
WITH
    toDate(coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers))) AS last_day,
    weeks AS
    (
        SELECT
            each AS value, week, toInt64(sum(if({measure:String} = 'touches', outreach_weeks.touches, outreach_weeks.outreach))) AS x,
            toInt64(sum(outreach_weeks.signups)) AS y
        FROM outreach_weeks(segment = {segment:String}, level = {level:String}) AS outreach_weeks
        ARRAY JOIN [if(outreach_weeks.value = '', '(none)', outreach_weeks.value), '(all)'] AS each
        WHERE week + 6 <= last_day
        GROUP BY each, week
    ),
    series AS
    (
        SELECT value, arraySort(groupArray((week, x, y))) AS points, toUInt32(length(points)) AS length_of_points
        FROM weeks
        GROUP BY value
    ),
    pairs AS
    (
        SELECT
            value, lag AS lag_weeks, toInt64(greatest(length_of_points, lag) - lag) AS n,
            arrayMap(point -> point.2, arraySlice(points, 1, n)) AS xs,
            arrayMap(point -> point.3, arraySlice(points, lag + 1, n)) AS ys,
            -- In whole numbers, so that the same series is the same to the last digit.
            n * arraySum((x, y) -> x * y, xs, ys) - arraySum(xs) * arraySum(ys) AS together,
            n * arraySum(x -> x * x, xs) - arraySum(xs) * arraySum(xs) AS of_x,
            n * arraySum(y -> y * y, ys) - arraySum(ys) * arraySum(ys) AS of_y
        FROM series
        ARRAY JOIN range(toUInt32({lags:UInt16} + 1)) AS lag
    )
SELECT
    value, lag_weeks, n AS pairs_of_weeks,
    if(n < {least:UInt16} OR of_x <= 0 OR of_y <= 0, NULL, round(together / sqrt(toFloat64(of_x)) / sqrt(toFloat64(of_y)), 4)) AS r
FROM pairs
ORDER BY value, lag_weeks

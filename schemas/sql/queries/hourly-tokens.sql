-- title: Distinct active tokens of each hour
-- description: What the monitors of active tokens look at. An hour without any has no row.
-- topic: alerts
-- parameters:
--   environment: {values: [production, test, development], default: production}
--   from: {type: Time, meaning: 'hours that end after this time, UTC; empty for all'}
--   to: {type: Time, meaning: hours that end at this time at the latest; empty for all}
-- chart: {kind: bar, label: hour, numbers: [count]}
-- columns:
--   segment: empty
--   value: empty
--   hour: end of the hour, UTC
--   count: distinct tokens with a call in it
--   trials: '0: a count is no share'
WITH
    -- Within what a Date holds.
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-02 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2149-01-01 00:00:00', 3, 'UTC')) AS until
SELECT segment, value, ends AS hour, count, trials
FROM
(
    SELECT '' AS segment, '' AS value, hour + toIntervalHour(1) AS ends, count() AS count, toUInt64(0) AS trials
    FROM activity
    WHERE level = 'token' AND environment = {environment:String}
        AND day >= toDate(after - toIntervalHour(1)) AND day <= toDate(until) AND ends > after AND ends <= until
    GROUP BY ends
)
ORDER BY hour

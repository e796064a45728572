-- title: Events received from a source in each hour, with their copies
-- description: What the monitors of silence look at. The longest time without any that ended in the hour is beside it.
-- topic: alerts
-- parameters:
--   source: {values: [web, api], default: web}
--   from: {type: Time, meaning: 'hours that end after this time, UTC; empty for all'}
--   to: {type: Time, meaning: hours that end at this time at the latest; empty for all}
-- chart: {kind: bar, label: hour, numbers: [count, longest_gap_seconds]}
-- columns:
--   segment: empty
--   value: empty
--   hour: end of the hour, UTC
--   count: events received in it, with copies
--   trials: '0: a count is no share'
--   longest_gap_seconds: the longest time without any that ended in it, whenever it began; 0 for the first event
WITH
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    minutes AS
    (
        -- Minutes have their end and not their start, as hours do: else an event at the full hour would go where its neighbours do.
        SELECT intDiv(received_at - 1, 60000) AS minute, count() AS events, min(received_at) AS first, max(received_at) AS last
        FROM event_rows
        WHERE source = {source:String}
            AND received_at > toUnixTimestamp64Milli(after) AND received_at <= toUnixTimestamp64Milli(until)
        GROUP BY minute
    ),
    gaps AS
    (
        SELECT minute, events, last, first - lagInFrame(last, 1, first) OVER (ORDER BY minute ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS gap
        FROM minutes
    )
SELECT
    '' AS segment,
    '' AS value,
    toDateTime64(ceil(last / 3600000) * 3600, 3, 'UTC') AS hour,
    sum(events) AS count,
    toUInt64(0) AS trials,
    max(gap) / 1000 AS longest_gap_seconds
FROM gaps
GROUP BY hour
ORDER BY hour

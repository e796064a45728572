-- title: Newly activated developers or companies of each hour, by segment
-- description: What the monitors of activations look at. An hour without any has no row.
-- topic: alerts
-- parameters:
--   level: {values: [developer, company], default: developer}
--   definition: {default: first_call, names: activations, meaning: name of the activation definition}
--   segments:
--     names: segments
--     meaning: >-
--       what to count by, beside all together, as `source,campaign`: fields of the first touch, company, configured
--       segments
--   value: {meaning: of each segment only this value; empty for each}
--   from: {type: Time, meaning: 'hours that end after this time, UTC; empty for all'}
--   to: {type: Time, meaning: hours that end at this time at the latest; empty for all}
-- chart: {kind: bar, label: hour, numbers: [count]}
-- columns:
--   segment: by what is counted; empty for all together
--   value: of the segment
--   hour: end of the hour, UTC
--   count: newly activated in it
--   trials: '0: a count is no share'
WITH
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    arrayConcat([''], if({segments:String} = '', [], splitByChar(',', {segments:String}))) AS wanted
SELECT
    segment,
    segments[segment] AS value,
    toDateTime64(ceil(toUnixTimestamp64Milli(activations[{definition:String}]) / 3600000) * 3600, 3, 'UTC') AS hour,
    count() AS count,
    toUInt64(0) AS trials
FROM subjects
ARRAY JOIN wanted AS segment
WHERE level = {level:String} AND mapContains(activations, {definition:String}) AND hour > after AND hour <= until
    AND ({value:String} = '' OR segment = '' OR value = {value:String})
GROUP BY segment, value, hour
ORDER BY segment, value, hour

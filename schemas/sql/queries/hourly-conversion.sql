-- title: Of those whose time for a step of the funnel ran out in an hour, how many had taken it
-- description: >-
--   What the monitors of conversion look at. Each is counted in the hour at which that is decided, so a count never
--   changes later, unless events come late.
-- topic: alerts
-- parameters:
--   level: {values: [developer, company], default: developer}
--   from_stage: {default: signup, names: stages, meaning: the stage that was entered}
--   to_stage: {default: first_call, names: stages, meaning: the stage that is to be entered}
--   within_minutes: {type: UInt32, default: 180, meaning: within so long}
--   segments:
--     names: segments
--     meaning: >-
--       what to count by, beside all together, as `source,campaign`: fields of the first touch, company, configured
--       segments
--   value: {meaning: of each segment only this value; empty for each}
--   from: {type: Time, meaning: 'hours that end after this time, UTC; empty for all'}
--   to: {type: Time, meaning: hours that end at this time at the latest; empty for all}
-- chart: {kind: bar, label: hour, numbers: [count, trials]}
-- columns:
--   segment: by what is counted; empty for all together
--   value: of the segment
--   hour: end of the hour in which the time ran out, UTC
--   count: of these, took the step in time
--   trials: whose time ran out
WITH
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    arrayConcat([''], if({segments:String} = '', [], splitByChar(',', {segments:String}))) AS wanted,
    stages[{from_stage:String}] + toIntervalMinute({within_minutes:UInt32}) AS decided_at
SELECT
    segment,
    segments[segment] AS value,
    toDateTime64(ceil(toUnixTimestamp64Milli(decided_at) / 3600000) * 3600, 3, 'UTC') AS hour,
    countIf(mapContains(stages, {to_stage:String}) AND stages[{to_stage:String}] <= decided_at) AS count,
    count() AS trials
FROM subjects
ARRAY JOIN wanted AS segment
WHERE level = {level:String} AND mapContains(stages, {from_stage:String}) AND hour > after AND hour <= until
    AND ({value:String} = '' OR segment = '' OR value = {value:String})
GROUP BY segment, value, hour
ORDER BY segment, value, hour

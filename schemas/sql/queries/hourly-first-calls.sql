-- title: Of those who entered a stage in an hour, how many did so within the usual time since an earlier one
-- description: >-
--   What the monitors of the time to first call look at. The usual time is the median of those until a week before the
--   end, so usually about half of them do.
-- topic: alerts
-- parameters:
--   level: {values: [developer, company], default: developer}
--   from_stage: {default: signup, names: stages, meaning: the stage that the time runs from}
--   to_stage: {default: first_call, names: stages, meaning: the stage at which it ends}
--   target_seconds: {type: Float64, default: 0, meaning: within so long; 0 for the usual median}
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
--   hour: end of the hour of the later stage, UTC
--   count: 'of these, within the usual time; empty without one: ask for more than a week, or give `target_seconds`'
--   trials: entered the later stage
--   usual_seconds: what that time is
WITH
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    arrayConcat([''], if({segments:String} = '', [], splitByChar(',', {segments:String}))) AS wanted,
    taken AS
    (
        SELECT
            toDateTime64(ceil(toUnixTimestamp64Milli(stages[{to_stage:String}]) / 3600000) * 3600, 3, 'UTC') AS hour,
            dateDiff('millisecond', stages[{from_stage:String}], stages[{to_stage:String}]) / 1000 AS seconds,
            segments
        FROM subjects
        WHERE level = {level:String}
            AND mapContains(stages, {from_stage:String}) AND mapContains(stages, {to_stage:String})
            AND seconds >= 0 AND hour > after AND hour <= until
    ),
    if({target_seconds:Float64} > 0, {target_seconds:Float64},
        (SELECT quantileExact(0.5)(seconds) FROM taken
         WHERE hour <= least(until, (SELECT max(hour) FROM taken)) - toIntervalDay(7))) AS usual
SELECT
    segment,
    segments[segment] AS value,
    hour,
    if(isFinite(usual), countIf(seconds <= usual), NULL) AS count,
    count() AS trials,
    if(isFinite(usual), usual, NULL) AS usual_seconds
FROM taken
ARRAY JOIN wanted AS segment
WHERE {value:String} = '' OR segment = '' OR value = {value:String}
GROUP BY segment, value, hour
ORDER BY segment, value, hour

-- Growth week over week of active tokens, developers and companies, sign-ups or activations: distinct subjects of each week, the last one
-- to end at the latest event.
-- metric = active_developers: active_tokens, active_developers, active_companies, signups, activated:<definition>, ...
-- level = developer: developer or company; of active_companies it is company
-- segment = : by the values of this segment, as technology; empty for all together
-- weeks = 12: how many weeks back
-- at = : end of the latest week, the first full hour at or after this time, UTC; empty for the latest event
-- names: segment of counted_segments
-- topic: usage
-- chart: line week_end value
--   week_end: end of the seven days, UTC
--   value_of_segment: value of the segment asked for; empty if none was, or it has none
--   value: distinct subjects in them
--   week_before: in the seven days before
--   growth_percent: by which it grew; NULL from nothing
WITH
    toUnixTimestamp64Milli(ifNull(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers))) AS as_of,
    toInt64(ceil(ifNull(as_of, 0) / 3600000)) AS last_hour
SELECT
    hour AS week_end, segment_value AS value_of_segment, value, week_before, round(growth_percent, 1) AS growth_percent
FROM growth
WHERE metric = {metric:String} AND level = if({metric:String} = 'active_companies', 'company', {level:String}) AND segment = {segment:String}
    AND (last_hour - intDiv(toUnixTimestamp64Milli(hour), 3600000)) % 168 = 0
    AND last_hour - intDiv(toUnixTimestamp64Milli(hour), 3600000) BETWEEN 0 AND 168 * toInt64({weeks:UInt16}) - 1
ORDER BY week_end, value DESC, value_of_segment

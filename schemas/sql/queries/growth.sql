-- title: Growth week over week of active tokens, developers and companies, sign-ups or activations
-- description: Distinct subjects of each week, the last one to end at the latest event.
-- topic: usage
-- parameters:
--   metric:
--     default: active_developers
--     names: metrics
--     meaning: active_tokens, active_developers, active_companies, signups, activated:<definition>, ...
--   level: {values: [developer, company], default: developer, meaning: of active_companies it is company}
--   segment: {names: counted_segments, meaning: 'by the values of this segment, as technology; empty for all together'}
--   weeks: {type: UInt16, default: 12, meaning: how many weeks back}
--   at:
--     type: Time
--     meaning: end of the latest week, the first full hour at or after this time, UTC; empty for the latest event
-- chart: {kind: line, label: week_end, numbers: [value]}
-- columns:
--   week_end: end of the seven days, UTC
--   value_of_segment: value of the segment asked for; empty if none was, or it has none
--   value: distinct subjects in them
--   week_before: in the seven days before
--   growth_percent: by which it grew; NULL from nothing
WITH
    -- One week more than is shown, for the growth of the first.
    weeks AS (SELECT * FROM trailing_weeks(at = {at:String}, weeks = {weeks:UInt16} + 1)),
    -- From the changes: a series of `growth` ends with the present hour, or where its last subject has fallen out.
    counts AS
    (
        SELECT segment_value, week_end, sum(change) AS value
        FROM
        (
            SELECT segment_value, hour, change FROM rolling_changes
            WHERE window_hours = 168 AND segment = {segment:String} AND metric = {metric:String}
                AND level = if({metric:String} = 'active_companies', 'company', {level:String})
        ) AS changes
        CROSS JOIN weeks
        WHERE hour <= week_end
        GROUP BY segment_value, week_end
    ),
    found AS (SELECT DISTINCT segment_value FROM counts WHERE value != 0 OR {segment:String} = '')
SELECT
    week_end, value_of_segment, value, week_before, round(100 * (value / nullIf(week_before, 0) - 1), 1) AS growth_percent
FROM
(
    SELECT
        weeks.week_end AS week_end, weeks_back, found.segment_value AS value_of_segment, counts.value AS value,
        lagInFrame(counts.value, 1, toInt64(0)) OVER
            (PARTITION BY found.segment_value ORDER BY weeks.week_end ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS week_before
    FROM found
    CROSS JOIN weeks
    LEFT JOIN counts ON weeks.week_end = counts.week_end AND counts.segment_value = found.segment_value
)
WHERE weeks_back < {weeks:UInt16}
ORDER BY week_end, value DESC, value_of_segment

-- title: Weekly active tokens, developers and companies, and the growth of each from week to week
-- description: Distinct, of production use only. `concentration` shows whether one company hides a thin base.
-- topic: usage
-- parameters:
--   weeks: {type: UInt16, default: 8, meaning: how many weeks back}
--   segment:
--     names: counted_segments
--     meaning: >-
--       by the values of this segment that are counted hour by hour, as technology; empty for all together. Values
--       without use are left out
--   value: {meaning: only this value of the segment; empty for each}
--   at: {type: Time, meaning: 'end of the latest week, UTC; empty for the latest event'}
-- chart: {kind: line, label: week_end, numbers: [active_tokens, active_developers, active_companies]}
-- columns:
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   week_end: end of the seven days, UTC
--   active_tokens: distinct production keys with a call in them
--   active_developers: distinct developers with such a key
--   active_companies: distinct companies with one
--   tokens_growth_percent: against the seven days before
--   developers_growth_percent: likewise
--   companies_growth_percent: likewise
WITH
    -- One week more than is shown, for the growth of the first.
    weeks AS (SELECT * FROM trailing_weeks(at = {at:String}, weeks = {weeks:UInt16} + 1)),
    -- From the changes: rolling_counts ends with the present hour, and a week may end later.
    counts AS
    (
        SELECT
            segment_value, week_end,
            sumIf(change, metric = 'active_tokens') AS tokens,
            sumIf(change, metric = 'active_developers') AS developers,
            sumIf(change, metric = 'active_companies') AS companies
        FROM (SELECT * FROM rolling_changes WHERE window_hours = 168 AND segment = {segment:String} AND ({value:String} = '' OR segment_value = {value:String})
              AND metric IN ('active_tokens', 'active_developers', 'active_companies')) AS changes
        CROSS JOIN weeks
        WHERE hour <= week_end
        GROUP BY segment_value, week_end
    ),
    found AS
    (
        SELECT DISTINCT segment_value FROM counts WHERE tokens != 0 OR developers != 0 OR companies != 0
        UNION DISTINCT
        SELECT '' AS segment_value WHERE {segment:String} = ''
    )
SELECT
    segment_value, week_end, active_tokens, active_developers, active_companies,
    round(100 * (active_tokens / nullIf(tokens_before, 0) - 1), 2) AS tokens_growth_percent,
    round(100 * (active_developers / nullIf(developers_before, 0) - 1), 2) AS developers_growth_percent,
    round(100 * (active_companies / nullIf(companies_before, 0) - 1), 2) AS companies_growth_percent
FROM
(
    SELECT
        found.segment_value AS segment_value, weeks.week_end AS week_end, weeks_back,
        tokens AS active_tokens, developers AS active_developers, companies AS active_companies,
        lagInFrame(tokens) OVER each AS tokens_before,
        lagInFrame(developers) OVER each AS developers_before,
        lagInFrame(companies) OVER each AS companies_before
    FROM found
    CROSS JOIN weeks
    LEFT JOIN counts ON weeks.week_end = counts.week_end AND counts.segment_value = found.segment_value
    WINDOW each AS (PARTITION BY found.segment_value ORDER BY weeks.week_end ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
WHERE weeks_back < {weeks:UInt16}
ORDER BY segment_value, week_end

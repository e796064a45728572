-- title: Paying customers who use the API
-- description: >-
--   Of the developers and companies that had started paying by the end of a week, those with production use in the 7
--   and the 28 days up to it. A visitor is no customer: without an identity its use is not known.
-- topic: funnel
-- parameters:
--   level: {values: [developer, company], meaning: empty for both}
--   stage: {default: paying, names: stages, meaning: the stage that makes a customer}
--   weeks: {type: UInt16, default: 8, meaning: how many weeks back}
--   company: {names: companies, meaning: only this company and its developers; empty for all}
--   segment: {names: segments, meaning: 'by the values of this segment, as plan; empty for all together'}
--   value: {meaning: only this value of the segment; empty for each}
--   at: {type: Time, meaning: 'end of the latest week, UTC; empty for the latest event'}
-- chart: {kind: bar, label: week_end, numbers: [active_7_days_percent, active_28_days_percent]}
-- columns:
--   level: developer or company
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   week_end: end of the seven days, UTC
--   paying: had entered the stage by then
--   active_7_days: of these, used the API in production in the seven days
--   active_7_days_percent: of those paying
--   active_28_days: or in the 28 days
--   active_28_days_percent: of those paying
WITH
    (SELECT hour FROM hour_at(at = {at:String})) AS last_hour,
    weeks AS (SELECT toInt64(weeks_back) AS weeks_back, week_end FROM trailing_weeks(at = {at:String}, weeks = {weeks:UInt16})),
    customers AS
    (
        SELECT level, subject_id, if({segment:String} = '', '', segments[{segment:String}]) AS segment_value, stages[{stage:String}] AS paying_at
        FROM subjects
        WHERE kind != 'visitor' AND mapContains(stages, {stage:String})
            AND ({level:String} = '' OR level = {level:String})
            AND ({value:String} = '' OR segment_value = {value:String})
            AND ({company:String} = '' OR company_id = {company:String})
    ),
    -- The weeks, counted back from the latest one, in which each used the API.
    used AS
    (
        SELECT level, subject_id, groupUniqArray(intDiv(dateDiff('hour', hour, last_hour) - 1, 168)) AS weeks_used
        FROM activity
        WHERE level IN ('developer', 'company') AND environment = 'production' AND hour < last_hour
            AND day >= toDate(last_hour - toIntervalWeek({weeks:UInt16} + 4))
            AND (level, subject_id) IN (SELECT level, subject_id FROM customers)
        GROUP BY level, subject_id
    ),
    found AS
    (
        SELECT DISTINCT level, segment_value FROM customers
        UNION DISTINCT
        SELECT level, '' AS segment_value
        FROM (SELECT arrayJoin(['developer', 'company']) AS level)
        WHERE {segment:String} = '' AND ({level:String} = '' OR level = {level:String})
    ),
    counted AS
    (
        SELECT
            customers.level AS level, segment_value, weeks_back,
            count() AS paying,
            countIf(has(weeks_used, weeks_back)) AS active_7_days,
            countIf(hasAny(weeks_used, range(weeks_back, weeks_back + 4))) AS active_28_days
        FROM customers
        LEFT JOIN used ON customers.level = used.level AND customers.subject_id = used.subject_id
        CROSS JOIN weeks
        WHERE paying_at <= week_end
        GROUP BY level, segment_value, weeks_back
    )
SELECT
    found.level AS level, found.segment_value AS segment_value, week_end, paying, active_7_days,
    round(100 * active_7_days / nullIf(paying, 0), 2) AS active_7_days_percent,
    active_28_days,
    round(100 * active_28_days / nullIf(paying, 0), 2) AS active_28_days_percent
FROM found
CROSS JOIN weeks
LEFT JOIN counted ON counted.level = found.level AND counted.segment_value = found.segment_value AND counted.weeks_back = weeks.weeks_back
ORDER BY level DESC, segment_value, week_end

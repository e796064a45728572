-- title: Weekly cohorts, retention
-- description: >-
--   Of those who signed up in an ISO week, how many used the API in production in that week (week 0) and in each week
--   after. A week that is not over has no number yet: NULL. A week in which nobody signed up is no cohort. A week
--   includes its end, Monday at 00:00:00.000 UTC, and not its start.
-- topic: activation
-- parameters:
--   level: {values: [developer, company], default: developer}
--   weeks: {type: UInt16, default: 12, meaning: to be followed for so many weeks}
--   from: {type: Time, meaning: 'cohorts whose week begins at this time, UTC, or later; empty for all'}
--   to: {type: Time, meaning: and ends at this time at the latest; empty for all}
--   company: {names: companies, meaning: only this company and its developers; empty for all}
--   segment: {names: segments, meaning: 'by the values of this segment, as technology; empty for all together'}
--   value: {meaning: only this value of the segment; empty for each}
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
-- columns:
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   signup_week: Monday of the week of the sign-up
--   signups_complete: whether the week of the sign-ups is over
--   size: sign-ups of the week
--   week_number: weeks since that of the sign-up, from 0
--   active: used the API in production in that week; NULL before it is over
--   active_percent: of the size
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    cohorts AS
    (
        SELECT
            if({segment:String} = '', '', segments[{segment:String}]) AS segment_value, signup_week, count() AS size,
            toDateTime64(signup_week, 3, 'UTC') AS began
        FROM signups
        WHERE level = {level:String} AND signup_at <= as_of AND ({value:String} = '' OR segment_value = {value:String})
            AND ({company:String} = '' OR company_id = {company:String})
        GROUP BY segment_value, signup_week
        HAVING began >= after AND began + toIntervalDay(7) <= until
    ),
    retained AS
    (
        SELECT
            if({segment:String} = '', '', segments[{segment:String}]) AS segment_value,
            assumeNotNull(signup_week) AS signup_week,
            assumeNotNull(weeks_since_signup) AS week_number,
            count() AS active
        FROM weekly_use
        WHERE level = {level:String} AND weeks_since_signup BETWEEN 0 AND {weeks:UInt16}
            AND ({company:String} = '' OR company_id = {company:String})
        GROUP BY segment_value, signup_week, week_number
    )
SELECT
    cohorts.segment_value AS segment_value, cohorts.signup_week AS signup_week,
    toBool(began + toIntervalDay(7) <= as_of) AS signups_complete,
    size, cohorts.week_number AS week_number,
    if(began + toIntervalDay(7 * week_number + 7) <= as_of, toNullable(retained.active), NULL) AS active,
    round(100 * active / size, 2) AS active_percent
FROM (SELECT *, toInt32(arrayJoin(range({weeks:UInt16} + 1))) AS week_number FROM cohorts WHERE began + toIntervalDay(7 * week_number) < as_of) AS cohorts
LEFT JOIN retained
    ON retained.segment_value = cohorts.segment_value AND retained.signup_week = cohorts.signup_week AND retained.week_number = cohorts.week_number
ORDER BY segment_value, signup_week, week_number

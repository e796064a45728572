-- title: Weekly cohorts, activation
-- description: >-
--   Of those who signed up in an ISO week, how many had reached each activation definition by the end of that week
--   (week 0) and of each week after. A week that is not over has no number yet: NULL. A week in which nobody signed up
--   is no cohort. A week includes its end, Monday at 00:00:00.000 UTC, and not its start. Subjects that activated
--   before signing up count from week 0 on.
-- topic: activation
-- parameters:
--   level: {values: [developer, company], default: developer}
--   definition: {names: activations, meaning: name of the activation definition; empty for each of the level}
--   weeks: {type: UInt16, default: 4, meaning: to be followed for so many weeks}
--   from: {type: Time, meaning: 'cohorts whose week begins at this time, UTC, or later; empty for all'}
--   to: {type: Time, meaning: and ends at this time at the latest; empty for all}
--   company: {names: companies, meaning: only this company and its developers; empty for all}
--   segment: {names: segments, meaning: 'by the values of this segment, as technology; empty for all together'}
--   value: {meaning: only this value of the segment; empty for each}
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
-- columns:
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   definition: its name in the configuration
--   signup_week: Monday of the week of the sign-up
--   signups_complete: whether the week of the sign-ups is over
--   size: sign-ups of the week
--   week_number: weeks since that of the sign-up, from 0
--   week_end: end of that week, UTC
--   activated: had reached the definition by then; NULL before it
--   activated_percent: of the size
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    wanted AS
    (
        SELECT name AS definition FROM definitions
        WHERE section = 'activations' AND has(JSONExtract(definitions.definition, 'levels', 'Array(String)'), {level:String})
            AND ({definition:String} = '' OR name = {definition:String})
    ),
    cohorts AS
    (
        SELECT
            if({segment:String} = '', '', segments[{segment:String}]) AS segment_value, signup_week, count() AS size,
            toDateTime64(signup_week, 3, 'UTC') AS began, groupArray(activations) AS reached
        FROM signups
        WHERE level = {level:String} AND signup_at <= as_of AND ({value:String} = '' OR segment_value = {value:String})
            AND ({company:String} = '' OR company_id = {company:String})
        GROUP BY segment_value, signup_week
        HAVING began >= after AND began + toIntervalDay(7) <= until
    )
SELECT
    segment_value, definition, signup_week,
    toBool(began + toIntervalDay(7) <= as_of) AS signups_complete,
    size, number AS week_number,
    began + toIntervalDay(7 * week_number + 7) AS week_end,
    if(week_end <= as_of, arrayCount(each -> mapContains(each, definition) AND each[definition] <= week_end, reached), NULL) AS activated,
    round(100 * activated / size, 2) AS activated_percent
FROM cohorts
CROSS JOIN wanted
CROSS JOIN numbers({weeks:UInt16} + 1) AS numbers
WHERE began + toIntervalDay(7 * week_number) < as_of
ORDER BY segment_value, definition, signup_week, week_number

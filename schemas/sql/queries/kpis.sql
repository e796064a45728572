-- title: Two figures for each phase, by ISO week
-- description: >-
--   A week that is not over has no figure yet: NULL. It includes its end, Monday at 00:00:00.000 UTC, and not its
--   start. Stages are of the phase that the configuration gives them; `numerator` and `denominator` are what a percent
--   is of. awareness: newcomers (developers, visitors included, or companies, that entered their first stage of
--   awareness); the share of these whose first touch, not later than that, has a campaign or a referrer. consideration:
--   the share of the newcomers that entered a stage of consideration, and that signed up, before or within some days;
--   NULL until these have passed. adoption: the share of those whose span passed in the week who had activated, by the
--   first activation among the stages of adoption; how many used the API in production. advocacy: those that entered
--   their first stage of advocacy; the share of those who used the API in production who had, by the end of the week.
-- topic: funnel
-- parameters:
--   level: {values: [developer, company], default: developer}
--   within_days: {type: UInt16, default: 7, meaning: how long a newcomer has for consideration and sign-up}
--   from: {type: Time, meaning: 'weeks that begin at this time, UTC, or later; empty for all'}
--   to: {type: Time, meaning: and end at this time at the latest; empty for all}
--   company: {names: companies, meaning: only this company and its developers; empty for all}
--   segment: {names: segments, meaning: 'by the values of this segment, as technology; empty for all together'}
--   value: {meaning: only this value of the segment; empty for each}
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
-- columns:
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   week: its Monday
--   phase: awareness, consideration, adoption or advocacy
--   kpi: name of the figure, as above
--   value: NULL before the week, and what it needs beyond, is over
--   numerator: what is counted
--   denominator: what a percent is of; NULL of a count
--   is_over: whether that time has passed
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    (SELECT groupArray(stage) FROM funnel_stages WHERE level = {level:String} AND phase = 'awareness') AS of_awareness,
    (SELECT groupArray(stage) FROM funnel_stages WHERE level = {level:String} AND phase = 'consideration') AS of_consideration,
    (SELECT groupArray(stage) FROM funnel_stages WHERE level = {level:String} AND phase = 'advocacy') AS of_advocacy,
    (SELECT argMin(activation, position) FROM funnel_stages WHERE level = {level:String} AND phase = 'adoption' AND activation != '') AS definition_used,
    (entered, wanted) -> mapValues(mapFilter((name, moment) -> has(wanted, name), entered)) AS times_of,
    weeks AS
    (
        SELECT toDateTime64(monday, 3, 'UTC') AS began, began + toIntervalDay(7) AS ended, monday AS week
        FROM
        (
            SELECT arrayJoin(arrayMap(
                number -> toMonday(assumeNotNull(first)) + 7 * number,
                range(ifNull(intDiv(dateDiff('day', toMonday(first), toMonday(as_of - toIntervalMillisecond(1))), 7) + 1, 0)))) AS monday
            FROM (SELECT min(first_seen) - toIntervalMillisecond(1) AS first FROM subjects)
        )
        WHERE began >= after AND ended <= until
    ),
    journeys AS
    (
        SELECT
            if({segment:String} = '', '', segments[{segment:String}]) AS segment_value,
            times_of(stages, of_awareness) AS aware, times_of(stages, of_consideration) AS considering, times_of(stages, of_advocacy) AS advocating,
            arrayMin(aware) AS new_at,
            new_at + toIntervalDay({within_days:UInt16}) AS decided_at,
            first_touch_at <= new_at AND (segments['campaign'] != '' OR segments['referrer'] != '') AS by_touch,
            notEmpty(considering) AND arrayMin(considering) <= decided_at AS considered,
            mapContains(stages, 'signup') AND stages['signup'] <= decided_at AS signed_up
        FROM subjects
        WHERE level = {level:String} AND ({value:String} = '' OR segment_value = {value:String})
            AND ({company:String} = '' OR company_id = {company:String})
    ),
    counted AS
    (
        SELECT
            segment_value, toMonday(new_at - toIntervalMillisecond(1)) AS week, made.1 AS kpi,
            toUInt64(sum(made.2)) AS numerator, count() AS denominator
        FROM journeys
        ARRAY JOIN [('newcomers', true), ('newcomers_by_touch_percent', ifNull(by_touch, false)),
            ('newcomers_considering_percent', considered), ('newcomers_signed_up_percent', signed_up)] AS made
        WHERE notEmpty(aware)
        GROUP BY segment_value, week, kpi
        UNION ALL
        SELECT segment_value, toMonday(arrayMin(advocating) - toIntervalMillisecond(1)) AS week, 'new_advocates' AS kpi, count() AS numerator, count() AS denominator
        FROM journeys
        WHERE notEmpty(advocating)
        GROUP BY segment_value, week
        UNION ALL
        SELECT
            if({segment:String} = '', '', segments[{segment:String}]) AS segment_value,
            toMonday(assumeNotNull(matures_at) - toIntervalMillisecond(1)) AS week,
            'activated_of_matured_percent' AS kpi, countIf(isNotNull(activated_at)) AS numerator, count() AS denominator
        FROM activation_candidates
        WHERE level = {level:String} AND definition = definition_used AND isNotNull(matures_at)
            AND ({value:String} = '' OR segment_value = {value:String})
            AND ({company:String} = '' OR company_id = {company:String})
        GROUP BY segment_value, week
        UNION ALL
        SELECT
            if({segment:String} = '', '', segments[{segment:String}]) AS segment_value,
            week, made.1 AS kpi, toUInt64(sum(made.2)) AS numerator, count() AS denominator
        FROM weekly_use
        ARRAY JOIN [('weekly_active', true), ('advocates_of_active_percent',
            arrayExists(entered -> entered <= toDateTime64(week, 3, 'UTC') + toIntervalDay(7), times_of(stages, of_advocacy)))] AS made
        WHERE level = {level:String} AND ({value:String} = '' OR segment_value = {value:String})
            AND ({company:String} = '' OR company_id = {company:String})
        GROUP BY segment_value, week, kpi
    ),
    figures AS
    (
        SELECT figure.1 AS phase, figure.2 AS kpi, figure.3 AS days_more, position
        FROM (SELECT [('awareness', 'newcomers', 0), ('awareness', 'newcomers_by_touch_percent', 0),
            ('consideration', 'newcomers_considering_percent', {within_days:UInt16}), ('consideration', 'newcomers_signed_up_percent', {within_days:UInt16}),
            ('adoption', 'activated_of_matured_percent', 0), ('adoption', 'weekly_active', 0),
            ('advocacy', 'new_advocates', 0), ('advocacy', 'advocates_of_active_percent', 0)] AS each)
        ARRAY JOIN each AS figure, arrayEnumerate(each) AS position
    ),
    found AS
    (
        SELECT DISTINCT segment_value FROM journeys
        UNION DISTINCT
        SELECT '' AS segment_value WHERE {segment:String} = ''
    )
SELECT
    found.segment_value AS segment_value, weeks.week AS week, figures.phase AS phase, figures.kpi AS kpi,
    if(is_percent, round(100 * numerator / nullIf(denominator, 0), 2), numerator) AS value,
    if(is_over, toNullable(counted.numerator), NULL) AS numerator,
    if(is_over AND is_percent, toNullable(counted.denominator), NULL) AS denominator,
    toBool(ended + toIntervalDay(days_more) <= as_of) AS is_over
FROM (SELECT *, endsWith(kpi, '_percent') AS is_percent FROM figures) AS figures
CROSS JOIN found
CROSS JOIN weeks
LEFT JOIN counted ON counted.segment_value = found.segment_value AND counted.week = weeks.week AND counted.kpi = figures.kpi
ORDER BY segment_value, week, position

-- title: The funnel
-- description: >-
--   How many developers (visitors included) or companies entered each stage, how many of those before it dropped off,
--   and how long the step took. A subject that entered a stage counts in it, with or without the one before; the shares
--   are of those who entered the earlier stage and this one, in any order. Times are of those who entered it after the
--   one before, or with it; `out_of_order` are those who entered this one first.
-- topic: funnel
-- parameters:
--   level: {values: [developer, company], default: developer}
--   starting:
--     names: stages
--     meaning: 'what is to lie in the period: the entry of this stage; empty for when the subject was first seen'
--   from: {type: Time, meaning: 'after this time, UTC; empty for all'}
--   to: {type: Time, meaning: at this time at the latest; empty for all}
--   company: {names: companies, meaning: only this company and its developers; empty for all}
--   segment: {names: segments, meaning: 'a funnel for each value of this segment, as technology; empty for one of all'}
--   value: {meaning: only for this value of the segment; empty for each}
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
-- chart: {kind: bar, label: stage, numbers: [entered]}
-- columns:
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   stage: of the funnel, in its order
--   phase: awareness, consideration, adoption or advocacy
--   entered: entered this stage
--   dropped: entered the stage before, and not this one
--   dropped_percent: of those who entered the stage before
--   percent_of_previous: entered both, of those who entered the stage before
--   percent_of_first: entered this stage too, of those who entered the first
--   out_of_order: entered this stage before the one before
--   median_minutes: of the step, of those who took it in order
--   p90_minutes: 90th percentile of the same
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    funnel AS
    (
        SELECT
            stage, phase, position, previous_stage,
            first_value(stage) OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS first_stage
        FROM funnel_stages
        WHERE level = {level:String}
    ),
    entries AS
    (
        SELECT
            if({segment:String} = '', '', segments[{segment:String}]) AS segment_value,
            entries.stage AS stage,
            entries.previous_stage = funnel.previous_stage AND ifNull(previous_entered_at <= as_of, false) AS entered_previous,
            mapContains(stages, first_stage) AND stages[first_stage] <= as_of AS entered_first,
            ifNull(entered_previous AND seconds_since_previous < 0, false) AS was_before,
            if(entered_previous AND NOT was_before, seconds_since_previous / 60, NULL) AS minutes
        FROM stage_entries AS entries
        INNER JOIN funnel ON entries.stage = funnel.stage
        WHERE level = {level:String} AND entered_at <= as_of
            AND ({company:String} = '' OR company_id = {company:String})
            AND ({value:String} = '' OR segment_value = {value:String})
            AND if({starting:String} = '', first_seen > after AND first_seen <= until,
                mapContains(stages, {starting:String}) AND stages[{starting:String}] > after AND stages[{starting:String}] <= until)
    ),
    counted AS
    (
        SELECT
            segment_value, stage,
            count() AS entered,
            countIf(entered_previous) AS entered_both,
            countIf(was_before) AS out_of_order,
            countIf(entered_first) AS entered_first_too,
            quantileExactInclusiveOrNull(0.5)(minutes) AS median_minutes,
            quantileExactInclusiveOrNull(0.9)(minutes) AS p90_minutes
        FROM entries
        GROUP BY segment_value, stage
    ),
    found AS
    (
        SELECT DISTINCT segment_value FROM entries
        UNION DISTINCT
        SELECT '' AS segment_value WHERE {segment:String} = ''
    ),
    steps AS
    (
        SELECT
            found.segment_value AS segment_value, funnel.stage AS stage, phase, position, entered, entered_both, out_of_order, entered_first_too, median_minutes, p90_minutes,
            lagInFrame(toNullable(entered)) OVER (PARTITION BY segment_value ORDER BY position ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS entered_before,
            first_value(entered) OVER (PARTITION BY segment_value ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS entered_at_first
        FROM found
        CROSS JOIN funnel
        LEFT JOIN counted ON counted.segment_value = found.segment_value AND counted.stage = funnel.stage
    )
SELECT
    segment_value, stage, phase, entered,
    entered_before - entered_both AS dropped,
    round(100 * dropped / nullIf(entered_before, 0), 2) AS dropped_percent,
    round(100 * entered_both / nullIf(entered_before, 0), 2) AS percent_of_previous,
    round(100 * entered_first_too / nullIf(entered_at_first, 0), 2) AS percent_of_first,
    out_of_order,
    round(median_minutes, 2) AS median_minutes,
    round(p90_minutes, 2) AS p90_minutes
FROM steps
ORDER BY segment_value, position

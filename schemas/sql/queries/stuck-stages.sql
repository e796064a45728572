-- title: Developers (visitors included) or companies by the furthest stage that they entered
-- description: >-
--   How many at each stage of the funnel, their share of all and of those who ever entered it, and how long they have
--   waited there. The last stage is the goal: nobody waits there.
-- topic: funnel
-- parameters:
--   level: {values: [developer, company], default: developer}
--   from: {type: Time, meaning: 'those who entered the stage after this time, UTC; empty for all'}
--   to: {type: Time, meaning: and at this time at the latest; empty for all}
--   company: {names: companies, meaning: only this company and its developers; empty for all}
--   segment: {names: segments, meaning: 'by the values of this segment, as technology; empty for all together'}
--   value: {meaning: only this value of the segment; empty for each}
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
-- chart: {kind: bar, label: stage, numbers: [at_stage]}
-- columns:
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   stage: of the funnel, in its order
--   phase: awareness, consideration, adoption or advocacy
--   next_stage: what would come next; empty at the goal
--   entered: ever entered this stage
--   at_stage: of these, have entered none further
--   percent_of_all: of all who entered any stage
--   percent_of_entered: of those who entered it
--   median_waiting_hours: since they entered it
--   p90_waiting_hours: 90th percentile of the same
--   longest_waiting_hours: the longest of the same
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    entries AS
    (
        SELECT
            if({segment:String} = '', '', segments[{segment:String}]) AS segment_value,
            stage,
            further_at IS NULL OR further_at > as_of AS is_furthest,
            if(is_furthest AND next_stage != '', dateDiff('millisecond', entered_at, as_of) / 3600000, NULL) AS hours
        FROM stage_entries
        WHERE level = {level:String} AND entered_at <= as_of AND entered_at > after AND entered_at <= until
            AND ({company:String} = '' OR company_id = {company:String})
            AND ({value:String} = '' OR segment_value = {value:String})
    ),
    counted AS
    (
        SELECT
            segment_value, stage,
            count() AS entered,
            countIf(is_furthest) AS at_stage,
            quantileExactInclusiveOrNull(0.5)(hours) AS median_hours,
            quantileExactInclusiveOrNull(0.9)(hours) AS p90_hours,
            maxOrNull(hours) AS longest_hours
        FROM entries
        GROUP BY segment_value, stage
    ),
    found AS
    (
        SELECT DISTINCT segment_value FROM entries
        UNION DISTINCT
        SELECT '' AS segment_value WHERE {segment:String} = ''
    )
SELECT
    found.segment_value AS segment_value, funnel.stage AS stage, phase, next_stage, entered, at_stage,
    round(100 * at_stage / nullIf(sum(at_stage) OVER (PARTITION BY segment_value), 0), 2) AS percent_of_all,
    round(100 * at_stage / nullIf(entered, 0), 2) AS percent_of_entered,
    round(median_hours, 2) AS median_waiting_hours,
    round(p90_hours, 2) AS p90_waiting_hours,
    round(longest_hours, 2) AS longest_waiting_hours
FROM found
CROSS JOIN (SELECT * FROM funnel_stages WHERE level = {level:String}) AS funnel
LEFT JOIN counted ON counted.segment_value = found.segment_value AND counted.stage = funnel.stage
ORDER BY segment_value, position

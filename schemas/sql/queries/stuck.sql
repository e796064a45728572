-- title: Who is at which stage
-- description: >-
--   Each developer (visitors included) or company by the furthest stage of the funnel that it entered, since when, and
--   what would come next. Those who entered the last stage are not stuck. The nearest to the goal come first, of these
--   the latest.
-- topic: funnel
-- parameters:
--   level: {values: [developer, company], default: developer}
--   stage: {names: stages, meaning: only those whose furthest stage is this; empty for each}
--   hours: {type: Float64, default: 0, meaning: only those who have been there for at least so many hours}
--   company: {names: companies, meaning: only this company and its developers; empty for all}
--   segment: {names: segments, meaning: 'the value of this segment is shown, as technology; empty for none'}
--   value: {meaning: only this value of the segment; empty for each}
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
--   limit: {type: UInt32, default: 50, meaning: how many rows}
-- columns:
--   subject_id: id of the developer or company
--   company_id: of a developer, the last it was linked to
--   kind: user, visitor or company
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   stage: the furthest that it entered
--   phase: awareness, consideration, adoption or advocacy
--   since: when it entered that, UTC
--   waiting_hours: since then
--   next_stage: what would come next
--   last_active: its latest event, UTC
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of
SELECT
    subject_id, company_id, kind,
    if({segment:String} = '', '', segments[{segment:String}]) AS segment_value,
    stage, phase,
    entered_at AS since,
    round(dateDiff('millisecond', entered_at, as_of) / 3600000, 2) AS waiting_hours,
    next_stage, last_active
FROM stage_entries
WHERE level = {level:String} AND next_stage != ''
    AND entered_at <= as_of AND (further_at IS NULL OR further_at > as_of)
    AND ({stage:String} = '' OR stage = {stage:String})
    AND entered_at <= as_of - toIntervalSecond(toInt64({hours:Float64} * 3600))
    AND ({company:String} = '' OR company_id = {company:String})
    AND ({value:String} = '' OR segment_value = {value:String})
ORDER BY position DESC, since DESC, subject_id
LIMIT {limit:UInt32}

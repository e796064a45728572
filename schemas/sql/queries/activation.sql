-- title: Activation by each definition
-- description: >-
--   Of those who entered its anchor stage, who has reached it; and the rate among the matured, whose span has passed,
--   so that late sign-ups do not pull it down. A definition without a span never matures: it has no such rate.
-- topic: activation
-- parameters:
--   level: {values: [developer, company], meaning: empty for both}
--   definition: {names: activations, meaning: name of the activation definition; empty for each}
--   from: {type: Time, meaning: 'of those who entered the anchor stage after this time, UTC; empty for all'}
--   to: {type: Time, meaning: and at this time at the latest; empty for all}
--   company: {names: companies, meaning: only this company and its developers; empty for all}
--   segment: {names: segments, meaning: 'by the values of this segment, as technology; empty for all together'}
--   value: {meaning: only this value of the segment; empty for each}
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
-- chart: {kind: bar, label: definition, numbers: [percent_of_matured]}
-- columns:
--   level: developer or company
--   segment_value: value of the segment asked for; empty if none was, or it has none
--   definition: its name in the configuration
--   anchored: entered the anchor stage
--   activated: of these, reached the definition so far
--   matured: of those anchored, whose span has passed
--   activated_of_matured: of these, reached it
--   percent_so_far: activated of those anchored
--   percent_of_matured: 'activated of the matured: the rate to compare'
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS after,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    candidates AS
    (
        SELECT
            level, definition, if({segment:String} = '', '', segments[{segment:String}]) AS segment_value,
            ifNull(matures_at <= as_of, false) AS is_matured,
            ifNull(activated_at <= as_of, false) AS is_activated
        FROM activation_candidates
        WHERE anchor_at <= as_of AND anchor_at > after AND anchor_at <= until
            AND ({level:String} = '' OR level = {level:String})
            AND ({definition:String} = '' OR definition = {definition:String})
            AND ({company:String} = '' OR company_id = {company:String})
            AND ({value:String} = '' OR segment_value = {value:String})
    ),
    counted AS
    (
        SELECT
            level, definition, segment_value,
            count() AS anchored,
            countIf(is_activated) AS activated,
            countIf(is_matured) AS matured,
            countIf(is_matured AND is_activated) AS activated_of_matured
        FROM candidates
        GROUP BY level, definition, segment_value
    ),
    found AS
    (
        SELECT DISTINCT segment_value FROM candidates
        UNION DISTINCT
        SELECT '' AS segment_value WHERE {segment:String} = ''
    ),
    wanted AS
    (
        SELECT arrayJoin(JSONExtract(definition, 'levels', 'Array(String)')) AS level, name FROM definitions WHERE section = 'activations'
    )
SELECT
    wanted.level AS level, found.segment_value AS segment_value, wanted.name AS definition,
    anchored, activated, matured, activated_of_matured,
    round(100 * activated / nullIf(anchored, 0), 2) AS percent_so_far,
    round(100 * activated_of_matured / nullIf(matured, 0), 2) AS percent_of_matured
FROM found
CROSS JOIN wanted
LEFT JOIN counted ON counted.level = wanted.level AND counted.definition = wanted.name AND counted.segment_value = found.segment_value
WHERE ({level:String} = '' OR level = {level:String}) AND ({definition:String} = '' OR definition = {definition:String})
ORDER BY level DESC, segment_value, definition

-- Activation by each definition: of those who entered its anchor stage, who reached it; and the rate among the matured, whose
-- span has passed, so that late sign-ups do not pull it down.
-- definitions = developer:first_call:signup:28,company:first_call:signup:28,company:messages:signup:28,developer:three_days:signup:14: level, definition, anchor stage and span in days (0: no limit) of each
-- at = : as of this time, UTC; empty for the latest event
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    subjects AS
    (
        SELECT 'developer' AS level, id, stages FROM developers WHERE NOT is_internal AND NOT is_bot
        UNION ALL
        SELECT 'company' AS level, id, stages FROM companies WHERE NOT is_internal
    ),
    anchored AS
    (
        SELECT level, id, defined[2] AS definition, stages[defined[3]] AS anchor_at, toUInt16(defined[4]) AS span_days
        FROM subjects
        ARRAY JOIN arrayMap(each -> splitByChar(':', each), splitByChar(',', {definitions:String})) AS defined
        WHERE level = defined[1] AND mapContains(stages, defined[3]) AND stages[defined[3]] <= as_of
    ),
    reached AS
    (
        SELECT level, definition, subject_id FROM activations WHERE activated_at <= as_of
    )
SELECT
    level, definition,
    count() AS anchored,
    countIf(reached.subject_id != '') AS activated,
    countIf(anchor_at + toIntervalDay(span_days) <= as_of) AS matured,
    countIf(anchor_at + toIntervalDay(span_days) <= as_of AND reached.subject_id != '') AS activated_of_matured,
    round(100 * activated_of_matured / nullIf(matured, 0), 1) AS percent_of_matured
FROM anchored
LEFT JOIN reached
    ON anchored.level = reached.level AND anchored.definition = reached.definition AND anchored.id = reached.subject_id
GROUP BY level, definition
ORDER BY level DESC, definition

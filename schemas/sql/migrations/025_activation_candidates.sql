-- Grain: one row for each activation definition whose anchor stage a subject entered.
--   The rate of a definition is the share of the activated among the matured: those whose matures_at has passed. Others may
--   still come, and would pull it down. A definition without a span never matures.
-- Key: (level, definition, subject_id).
-- Engine: a view over `subjects` and `definitions`.
CREATE OR REPLACE VIEW activation_candidates /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    definition String COMMENT 'Name of the activation definition',
    subject_id String COMMENT 'Developer id or company id',
    kind LowCardinality(String) COMMENT 'user, visitor or company',
    company_id String COMMENT 'Company of the subject: of a developer its company, empty if none; of a company itself',
    anchor String COMMENT 'Stage from which the span runs',
    anchor_at DateTime64(3, 'UTC') COMMENT 'When it was entered',
    matures_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the span has passed; NULL: the definition has none',
    activated_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the definition was reached, within its span; NULL: not so far',
    segments Map(LowCardinality(String), String) COMMENT 'Value by segment, as in subjects'
)
COMMENT 'Who could be activated by which definition, who was, and whose time has passed'
AS
WITH
    wanted AS
    (
        SELECT
            arrayJoin(JSONExtract(definition, 'levels', 'Array(String)')) AS of_level,
            name,
            JSONExtractString(definition, 'anchor') AS anchor,
            JSONExtract(definition, 'span_days', 'Nullable(UInt16)') AS span_days
        FROM definitions
        WHERE section = 'activations'
    )
SELECT
    level, name AS definition, subject_id, kind, company_id, anchor,
    stages[anchor] AS anchor_at,
    anchor_at + toIntervalDay(span_days) AS matures_at,
    if(mapContains(activations, name), activations[name], NULL) AS activated_at,
    segments
FROM subjects
INNER JOIN wanted ON subjects.level = wanted.of_level
WHERE mapContains(stages, anchor);

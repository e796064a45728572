-- Grain: one row for each activation definition that a developer or company has reached within its span.
-- Key: (level, definition, subject_id).
-- Engine: a view over profile_rows with FINAL. Internal and automated subjects are left out: they count for nothing.
CREATE OR REPLACE VIEW activations /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    definition LowCardinality(String) COMMENT 'Name of the activation definition',
    subject_id String COMMENT 'Developer id or company id',
    company_id String COMMENT 'Company of the subject: of a developer its company, empty if none; of a company itself',
    anchor_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the anchor stage was entered, from which the span runs',
    activated_at DateTime64(3, 'UTC') COMMENT 'When all conditions held, and the anchor was there'
)
COMMENT 'Who was activated when, by each definition'
AS SELECT
    level, definition, id AS subject_id,
    if(level = 'company', id, company_id) AS company_id,
    if(mapContains(activation_anchors, definition), activation_anchors[definition], NULL) AS anchor_at,
    activated_at
FROM profile_rows FINAL
ARRAY JOIN mapKeys(activations) AS definition, mapValues(activations) AS activated_at
WHERE NOT is_internal AND NOT is_bot;

-- Grain: one row a subject that counts: a developer, visitors included, or a company. The own organisation and automated
--   traffic are left out, as they are of every metric.
-- Key: (level, subject_id).
-- Engine: a view over profile_rows with FINAL, so that a subject shows its current state only.
CREATE OR REPLACE VIEW subjects /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    subject_id String COMMENT 'Developer id or company id, as in developers.id and companies.id',
    kind LowCardinality(String) COMMENT 'user, visitor (an alias that no one is known behind) or company',
    company_id String COMMENT 'Of a developer: its company, empty if none is known. Of a company: itself',
    first_seen Nullable(DateTime64(3, 'UTC')) COMMENT 'Earliest event that matters for any number',
    last_active Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest such event',
    stages Map(LowCardinality(String), DateTime64(3, 'UTC')) COMMENT 'Time of entry of each stage that was entered',
    activations Map(LowCardinality(String), DateTime64(3, 'UTC'))
        COMMENT 'By activation definition: when it was reached, if it was within its span',
    first_touch_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Earliest touch',
    segments Map(LowCardinality(String), String)
        COMMENT 'Value by segment, absent if none: the configured ones (technology), company, and the first touch''s campaign, source, medium, term, content, referrer, path, name'
)
COMMENT 'Everybody who counts, developers and companies alike, with the segments to compare them by'
AS SELECT
    level, id AS subject_id, kind,
    if(level = 'company', id, profile_rows.company_id) AS company_id,
    first_seen, last_active, stages, activations, first_touch_at,
    all_segments AS segments
FROM profile_rows FINAL
WHERE NOT is_internal AND NOT is_bot;

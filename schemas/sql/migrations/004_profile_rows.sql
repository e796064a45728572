-- Grain: one row for each state a developer or company had since the last merge. The views `developers`, `companies` and
--   `activations` show the current one.
-- Key: (level, id).
-- Engine: ReplacingMergeTree. The streams publish the whole profile again when it changes, with a higher version; a row
--   with is_deleted removes the subject (a visitor that became known, an erased person).
CREATE TABLE IF NOT EXISTS profile_rows /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    id String CODEC(ZSTD(1)) COMMENT 'Canonical user id, <alias kind>:<alias> of a visitor, or company id',
    kind LowCardinality(String) COMMENT 'user, visitor or company',
    company_id String CODEC(ZSTD(1)) COMMENT 'Of a developer: the company it belongs to, empty if none. Of a company: empty',
    first_seen Nullable(DateTime64(3, 'UTC')) COMMENT 'Earliest event that matters for any number; none matters: NULL',
    last_active Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest such event',
    stages Map(LowCardinality(String), DateTime64(3, 'UTC')) CODEC(ZSTD(1)) COMMENT 'Time of entry of each stage that was entered',
    activation_anchors Map(LowCardinality(String), DateTime64(3, 'UTC')) CODEC(ZSTD(1))
        COMMENT 'By activation definition: when its anchor stage was entered, from which the span runs',
    activations Map(LowCardinality(String), DateTime64(3, 'UTC')) CODEC(ZSTD(1))
        COMMENT 'By activation definition: when it was reached, if it was within its span',
    first_touch_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Earliest touch',
    first_touch Map(LowCardinality(String), String) CODEC(ZSTD(1))
        COMMENT 'Of the earliest touch: campaign, source, medium, term, content, referrer, path, name',
    segments Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'Value of each configured segment that it has one of',
    all_segments Map(LowCardinality(String), String) MATERIALIZED mapConcat(
        segments,
        CAST(multiIf(level = 'company', map('company', id), company_id != '', map('company', company_id), map()), 'Map(LowCardinality(String), String)'),
        first_touch) CODEC(ZSTD(1))
        COMMENT 'The segments, the company and the fields of the first touch in one, none of which has the name of another',
    is_internal Bool COMMENT 'Belongs to the own organisation: counts for nothing',
    is_bot Bool COMMENT 'Automated traffic: counts for nothing',
    version UInt64 COMMENT 'Grows with each change of the subject',
    is_deleted UInt8 COMMENT '1: there is no such subject any more',
    -- What else is written to the topic by mistake is refused.
    CONSTRAINT is_a_row CHECK level != '' AND id != ''
)
ENGINE = /* Replicated */ReplacingMergeTree(version, is_deleted)
ORDER BY (level, id)
COMMENT 'Developers and companies, with outdated states; read the views developers, companies, activations';

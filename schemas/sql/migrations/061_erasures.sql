-- Grain: one row for each erasure that was begun.
-- Key: (asked_at, subject).
-- Engine: a view over erasure_rows with FINAL.
CREATE OR REPLACE VIEW erasures /* ON CLUSTER */
(
    subject String COMMENT 'Keyed digest of the id that was to be erased; names no one',
    level LowCardinality(String) COMMENT 'developer or company',
    asked_at DateTime64(3, 'UTC') COMMENT 'When it was asked for, the first time if it took several',
    completed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When nothing was left; not yet: NULL',
    events UInt64 COMMENT 'How many events were erased',
    users UInt64 COMMENT 'How many user ids the person had; of a company 0',
    aliases UInt64 COMMENT 'How many session tokens and anonymous ids were theirs, at least for a time',
    keys UInt64 COMMENT 'How many API keys were theirs'
)
COMMENT 'Who was erased and when, without a name'
AS SELECT subject, level, asked_at, completed_at, events, users, aliases, keys
FROM erasure_rows FINAL;

-- Grain: one row for each state of an erasure: begun, then completed. The view `erasures` shows the current one.
-- Key: (asked_at, subject).
-- Engine: ReplacingMergeTree; a completed erasure takes the place of the begun one. Nothing in it names anyone.
CREATE TABLE IF NOT EXISTS erasure_rows /* ON CLUSTER */
(
    subject String COMMENT 'Keyed digest of the id that was to be erased, as on the topic of marks: proves an erasure to who knows id and secret',
    level LowCardinality(String) COMMENT 'developer or company',
    asked_at DateTime64(3, 'UTC') COMMENT 'When it was asked for, the first time if it took several',
    completed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When nothing was left; not yet: NULL',
    events UInt64 COMMENT 'How many events were erased',
    users UInt64 COMMENT 'How many user ids the person had; of a company 0',
    aliases UInt64 COMMENT 'How many session tokens and anonymous ids were theirs, at least for a time',
    keys UInt64 COMMENT 'How many API keys were theirs',
    version UInt64 COMMENT 'Milliseconds since 1970 UTC; grows with each state'
)
ENGINE = /* Replicated */ReplacingMergeTree(version)
ORDER BY (asked_at, subject)
COMMENT 'What was erased and when, with outdated states; read the view erasures';

-- Grain: one row for each numbered file of this directory that this database has run.
-- Key: number. A file is recorded after it ran; when two runners race, both record the same row.
-- Engine: ReplacingMergeTree keeps one of such equal rows.
CREATE TABLE IF NOT EXISTS migrations /* ON CLUSTER */
(
    number UInt16 COMMENT 'The number the file name starts with; files run in this order',
    name String COMMENT 'The rest of the file name, without .sql',
    checksum String COMMENT 'SHA-256 of the file as it ran, in hex; an edited file is refused by it',
    applied_at DateTime64(3, 'UTC') COMMENT 'When it ran'
)
ENGINE = /* Replicated */ReplacingMergeTree(applied_at)
ORDER BY number
COMMENT 'Which files of schemas/sql/migrations have run here, and their checksums';

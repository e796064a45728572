-- Grain: one row for each time that the copies of events and the counts of usage were brought up to date.
-- Key: settled_at.
-- Engine: ReplacingMergeTree, because two sinks may settle at once. The last settlement is that with the highest number, not
--   that of the latest time: the clock may have been set back since.
CREATE TABLE IF NOT EXISTS settlement_rows /* ON CLUSTER */
(
    settled_at DateTime COMMENT 'When it began: it saw all rows that were written by then',
    number UInt64 COMMENT 'Counted up with each'
)
ENGINE = /* Replicated */ReplacingMergeTree(number)
ORDER BY settled_at
COMMENT 'Up to when displaced copies are found and usage_rows are counted';

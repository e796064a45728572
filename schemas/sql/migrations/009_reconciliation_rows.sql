-- Grain: one row for each time that the copies of events and the counts of usage were brought up to date.
-- Key: reconciled_at.
-- Engine: ReplacingMergeTree, because two sinks may reconcile at once. The last run is that with the highest number, not
--   that of the latest time: the clock may have been set back since.
CREATE TABLE IF NOT EXISTS reconciliation_rows /* ON CLUSTER */
(
    reconciled_at DateTime COMMENT 'When it began: it saw all rows that were written by then',
    number UInt64 COMMENT 'Counted up with each'
)
ENGINE = /* Replicated */ReplacingMergeTree(number)
ORDER BY reconciled_at
COMMENT 'Up to when displaced copies are found and usage_rows are counted';

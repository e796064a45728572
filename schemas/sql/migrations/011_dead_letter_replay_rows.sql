-- Grain: one row for each replay of a refused message, or of the rows that ClickHouse refused of it. The view `dead_letters`
--   shows the latest.
-- Key: (topic, partition, offset, what): where the message lies, and what of it was replayed. Beside dead_letter_rows, not in it:
--   a message that is read again is refused again, at the same place, and must stay replayed.
-- Engine: ReplacingMergeTree, where the latest replay stays.
CREATE TABLE IF NOT EXISTS dead_letter_replay_rows /* ON CLUSTER */
(
    topic LowCardinality(String) COMMENT 'Where the message lies',
    partition Int32 COMMENT 'Partition of the topic',
    offset Int64 COMMENT 'Offset in the partition',
    what LowCardinality(String) COMMENT 'message: it was sent again; rows: its rows were written again',
    replayed_at DateTime64(3, 'UTC') COMMENT 'When, by the clock of the process that replayed it',
    new_offset Int64 COMMENT 'Of a message: where in the same partition it lies now; -1 for rows'
)
ENGINE = /* Replicated */ReplacingMergeTree(replayed_at)
ORDER BY (topic, partition, offset, what)
COMMENT 'Refused messages that were replayed; read the view dead_letters';

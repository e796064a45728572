-- Grain: one row for each delivery of a refused message, or of a refused part of a batch. The view `dead_letters` shows one
--   row a refusal.
-- Key: (topic, partition, offset, reason, field, detail): where the message lies and what is wrong with it.
-- Engine: ReplacingMergeTree, so that a message that is read again has one row, of its latest reading.
CREATE TABLE IF NOT EXISTS dead_letter_rows /* ON CLUSTER */
(
    topic LowCardinality(String) COMMENT 'Where the message lies',
    partition Int32 COMMENT 'Partition of the topic; -1 where there is none',
    offset Int64 COMMENT 'Offset in the partition',
    reason LowCardinality(String) COMMENT 'A fixed word: not_json, no_identifier, future, row_refused, ...',
    field String CODEC(ZSTD(1)) COMMENT 'The field it lies in, empty if it is the whole message',
    detail String CODEC(ZSTD(1)) COMMENT 'What is wrong, for a person',
    call Int32 DEFAULT -1 COMMENT 'Which call of a batch, from 0; -1: the message as a whole, or its only event',
    payload String CODEC(ZSTD(1)) COMMENT 'Start of the message, without anything that looks like a key',
    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3)
        COMMENT 'When the refused message was written; of a message on an internal topic, when it was refused',
    -- What else is written to the topic by mistake is refused.
    CONSTRAINT is_a_row CHECK topic != '' AND reason != ''
)
ENGINE = /* Replicated */ReplacingMergeTree(recorded_at)
ORDER BY (topic, partition, offset, reason, field, detail)
COMMENT 'Messages that are no events, with repeated deliveries; read the view dead_letters';

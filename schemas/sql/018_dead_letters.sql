-- Grain: one row for each message, or part of a batch, that was refused.
-- Key: (topic, partition, offset, reason, field, detail).
-- Engine: a view over dead_letter_rows with FINAL, so that a message that was read again is told once.
CREATE OR REPLACE VIEW dead_letters /* ON CLUSTER */
(
    topic LowCardinality(String) COMMENT 'Where the message lies',
    partition Int32 COMMENT 'Partition of the topic; -1 where there is none',
    offset Int64 COMMENT 'Offset in the partition',
    reason LowCardinality(String) COMMENT 'A fixed word: not_json, no_identifier, future, row_refused, ...',
    field String COMMENT 'The field it lies in, empty if it is the whole message',
    detail String COMMENT 'What is wrong, for a person',
    payload String COMMENT 'Start of the message, without anything that looks like a key',
    recorded_at DateTime64(3, 'UTC') COMMENT 'When it was refused, the last time'
)
COMMENT 'Messages that are no events, and why'
AS SELECT topic, partition, offset, reason, field, detail, payload, recorded_at
FROM dead_letter_rows FINAL;

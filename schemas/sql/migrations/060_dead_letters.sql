-- Grain: one row for each message, or part of a batch, that was refused.
-- Key: (topic, partition, offset, reason, field, detail).
-- Engine: a view over dead_letter_rows with FINAL, so that a message that was read again has one row, and over the replays of
--   messages. What is refused of a replayed message has a row again, at its new place.
CREATE OR REPLACE VIEW dead_letters /* ON CLUSTER */
(
    topic LowCardinality(String) COMMENT 'Where the message lies',
    partition Int32 COMMENT 'Partition of the topic; -1 where there is none',
    offset Int64 COMMENT 'Offset in the partition',
    reason LowCardinality(String) COMMENT 'A fixed word: not_json, no_identifier, future, row_refused, ...',
    field String COMMENT 'The field it lies in, empty if it is the whole message',
    detail String COMMENT 'What is wrong, for a person',
    call Int32 COMMENT 'Which call of a batch, from 0; -1: the message as a whole, or its only event',
    payload String COMMENT 'Start of the message, without anything that looks like a key',
    recorded_at DateTime64(3, 'UTC') COMMENT 'When the refused message was written; of a message on an internal topic, when it was refused',
    replayed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was replayed, the last time; NULL: it was not'
)
COMMENT 'Messages that are no events, and why'
AS SELECT topic, partition, offset, reason, field, detail, call, payload, recorded_at, if(new_offset IS NULL, NULL, replayed_at) AS replayed_at
FROM (SELECT *, if(reason = 'row_refused', 'rows', 'message') AS what FROM dead_letter_rows FINAL) AS letters
LEFT JOIN
(
    SELECT topic, partition, offset, what, max(replayed_at) AS replayed_at, toNullable(any(new_offset)) AS new_offset
    FROM dead_letter_replay_rows
    GROUP BY topic, partition, offset, what
) AS replays
USING (topic, partition, offset, what);

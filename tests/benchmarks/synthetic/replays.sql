-- Of the refused messages, those that were replayed.
INSERT INTO dead_letter_replay_rows (topic, partition, offset, what, replayed_at, new_offset)
SELECT topic, partition, offset, 'message', recorded_at + toIntervalDay(1), offset + 200000
FROM dead_letter_rows
WHERE offset % 10 = 0

-- title: Messages that were refused, by reason, with an example of where one lies
-- description: "`open` are those that were not replayed."
-- topic: pipeline
-- parameters:
--   limit: {type: UInt32, default: 15, meaning: how many rows}
-- columns:
--   reason: why they were refused
--   field: the field it is about
--   messages: how many
--   open: of these, not replayed
--   latest: when the latest was recorded, UTC
--   example: topic, partition and offset of one
--   example_detail: what is wrong with it
SELECT
    reason, field,
    count() AS messages,
    countIf(replayed_at IS NULL) AS open,
    max(recorded_at) AS latest,
    argMax(concat(topic, '/', toString(partition), '/', toString(offset)), (recorded_at, offset)) AS example,
    argMax(detail, (recorded_at, offset)) AS example_detail
FROM dead_letters
GROUP BY reason, field
ORDER BY messages DESC, reason, field
LIMIT {limit:UInt32}

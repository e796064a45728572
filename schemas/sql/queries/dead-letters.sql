-- Messages that were refused, by reason, with an example of where one lies; `open` are those that were not replayed.
-- limit = 15: how many rows
-- topic: pipeline
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

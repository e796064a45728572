-- The latest dead letters that match: `since` and `until` by when the message was written; an empty list matches all.
SELECT topic, partition, offset, reason, field, detail, payload, recorded_at, replayed_at
FROM dead_letters
WHERE (empty({reasons:Array(String)}) OR has({reasons:Array(String)}, reason))
    AND (empty({topics:Array(String)}) OR has({topics:Array(String)}, topic))
    AND (empty({ids:Array(String)}) OR has({ids:Array(String)}, concat(topic, '/', toString(partition), '/', toString(offset))))
    AND recorded_at >= parseDateTime64BestEffort({since:String}, 3, 'UTC')
    AND recorded_at < parseDateTime64BestEffort({until:String}, 3, 'UTC')
    AND (replayed_at IS NULL OR {replayed:Bool})
ORDER BY recorded_at DESC, topic, partition, offset DESC, field, detail
LIMIT {limit:UInt32}

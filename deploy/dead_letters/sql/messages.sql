-- Messages that have dead letters that match and were not replayed, in the order of their places, after the given one.
-- Calls are those of all its letters, as the whole message is replayed.
SELECT topic, partition, offset, what, groupArray(if(reason = 'more', NULL, call)) AS calls
FROM
(
    SELECT
        topic, partition, offset, reason, call, if(reason = 'row_refused', 'rows', 'message') AS what,
        (empty({reasons:Array(String)}) OR has({reasons:Array(String)}, reason))
            AND (empty({topics:Array(String)}) OR has({topics:Array(String)}, topic))
            AND (empty({ids:Array(String)}) OR has({ids:Array(String)}, concat(topic, '/', toString(partition), '/', toString(offset))))
            AND recorded_at >= parseDateTime64BestEffort({since:String}, 3, 'UTC')
            AND recorded_at < parseDateTime64BestEffort({until:String}, 3, 'UTC') AS matches
    FROM dead_letters
    WHERE replayed_at IS NULL
)
WHERE (topic, partition, offset, what)
    > ({after_topic:String}, {after_partition:Int32}, {after_offset:Int64}, {after_what:String})
GROUP BY topic, partition, offset, what
HAVING max(matches)
ORDER BY topic, partition, offset, what
LIMIT {limit:UInt32}

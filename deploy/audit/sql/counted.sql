-- In which values of segments rolling counts count a subject. No published row of a token has its values, so
-- where copies of events leave these open, each of them is.
INSERT INTO {counted:Identifier}
SELECT level, id, groupArray((segment, place.1, place.2, place.3))
FROM
(
    SELECT
        level, id, segment,
        arrayMap(one -> if(has({named_values:Array(Tuple(String, String))}, (toString(segment), one)), one, {other:String}),
            arrayPushFront(if(level = 'token', possible, []), value)) AS counted_values,
        arrayMap(one -> (one, one = counted_values[1], length(arrayDistinct(counted_values)) > 1), arrayDistinct(counted_values)) AS places
    FROM {segments:Identifier} FINAL
    WHERE has({counted_segments:Array(String)}, segment)
)
ARRAY JOIN places AS place
GROUP BY level, id

-- Who reached an activation: all conditions hold, not before the anchor, and within the span after it (0: no limit).
INSERT INTO {reached:Identifier}
SELECT {level:String}, id, {definition:String}, anchor, greatest(anchor, all_hold_at) AS at,
    if({span_ms:Int64} = 0, 0, anchor + {span_ms:Int64})
FROM
(
    SELECT id, max(at) AS all_hold_at
    FROM {moments:Identifier}
    WHERE level = {level:String} AND has({conditions:Array(UInt16)}, condition)
    GROUP BY id
    HAVING uniqExact(condition) = length({conditions:Array(UInt16)})
) AS held
INNER JOIN
(
    SELECT id, firsts[{anchor:UInt16}] AS anchor
    FROM {subjects:Identifier}
    WHERE level = {level:String} AND NOT is_internal AND mapContains(firsts, {anchor:UInt16})
) AS anchored USING id
WHERE {span_ms:Int64} = 0 OR at - anchor <= {span_ms:Int64}

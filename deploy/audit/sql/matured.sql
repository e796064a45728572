-- Who entered the anchor stage of an activation with a span: they count as matured when it is over.
INSERT INTO {matured:Identifier}
SELECT {level:String}, id, {definition:String}, firsts[{anchor:UInt16}] + {span_ms:Int64}
FROM {subjects:Identifier}
WHERE level = {level:String} AND NOT is_internal AND mapContains(firsts, {anchor:UInt16})

-- Rows of subjects up to a version, as (scope, id, version).
FROM {table:Identifier}
WHERE {id:Identifier} IN {ids:Array(String)}
    AND arrayExists(
        row -> row.1 = toString({scope:Identifier}) AND row.2 = {id:Identifier} AND version <= row.3,
        {bounds:Array(Tuple(String, String, UInt64))})

-- Deletes the rows of subjects up to a version, as (scope, id, version).
DELETE FROM activity_rows
WHERE id IN {ids:Array(String)}
    AND arrayExists(row -> row.1 = toString(level) AND row.2 = id AND version <= row.3, {bounds:Array(Tuple(String, String, UInt64))})

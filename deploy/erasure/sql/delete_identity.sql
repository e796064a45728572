-- Deletes the rows of subjects up to a version, as (scope, id, version).
DELETE FROM identity_rows
WHERE alias IN {ids:Array(String)}
    AND arrayExists(row -> row.1 = toString(alias_kind) AND row.2 = alias AND version <= row.3, {bounds:Array(Tuple(String, String, UInt64))})

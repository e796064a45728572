-- Writes the counts of these aliases again, so that `reconcile/usage.sql` counts all of them.
INSERT INTO usage_rows
SELECT * REPLACE (toUInt64(toUnixTimestamp64Milli(now64(3))) AS version, toUInt8(0) AS is_deleted)
FROM usage_rows FINAL
WHERE (alias_kind, alias) IN {subjects:Array(Tuple(String, String))}

-- Writes the counts of these aliases once more as they are, so that `settle/usage.sql` looks at all of them.
INSERT INTO usage_rows
SELECT * REPLACE (toUInt64(toUnixTimestamp64Milli(now64(3))) AS version, toUInt8(0) AS is_deleted)
FROM usage_rows FINAL
WHERE (alias_kind, alias) IN {subjects:Array(Tuple(String, String))}

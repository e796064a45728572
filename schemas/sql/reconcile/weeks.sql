-- The weeks, by their Mondays, with rows that were written since a moment, or counts since another.
-- since, counted_since: seconds since 1970 UTC
SELECT DISTINCT week FROM event_rows WHERE inserted_at >= {since:UInt32}
UNION DISTINCT
SELECT DISTINCT toMonday(day) AS week FROM usage_rows WHERE version >= toUInt64({counted_since:UInt32}) * 1000
ORDER BY week

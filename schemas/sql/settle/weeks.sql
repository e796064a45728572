-- The weeks, counted since 1970, with rows that were written since a moment, or counts since another.
-- since, counted_since: seconds since 1970 UTC
SELECT DISTINCT intDiv(time, 604800000) AS week FROM event_rows WHERE inserted_at >= {since:UInt32}
UNION DISTINCT
SELECT DISTINCT toInt64(intDiv(toUInt32(day), 7)) AS week FROM usage_rows WHERE version >= toUInt64({counted_since:UInt32}) * 1000
ORDER BY week

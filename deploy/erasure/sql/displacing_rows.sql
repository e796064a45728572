-- Rows that displace copies of an event, as (alias_kind, alias, content_hash, time).
FROM event_rows
WHERE is_deleted = 1
    AND (toString(alias_kind), alias, content_hash, time) IN {rows:Array(Tuple(String, String, UInt64, Int64))}

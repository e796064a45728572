-- Grain: one row for each session token or anonymous id that leads to users or to a device, or whose events are automated traffic.
-- Key: (alias_kind, alias).
-- Engine: a view over identity_rows with FINAL. Users are in arrays, so that an event picks its own without becoming several rows.
CREATE OR REPLACE VIEW web_aliases /* ON CLUSTER */
(
    alias_kind LowCardinality(String) COMMENT 'session_token or anonymous_id',
    alias String COMMENT 'The session token or anonymous id',
    alias_hash UInt64 COMMENT 'Of both, as session_hash or device_hash in event_rows: a number, by which joins are faster than by texts',
    user_ids Array(String) COMMENT 'The users that it leads to, one after the other, not canonical yet; empty if none is known',
    from_ms Array(Int64) COMMENT 'From when on each, milliseconds since 1970 UTC, ascending; the first one also holds for the time before',
    device_id String COMMENT 'Of a session: the anonymous id that its events without one go by; else empty',
    of_device_hash UInt64 COMMENT 'Its hash, as device_hash in event_rows; 0 if there is none',
    is_bot Bool COMMENT 'The events without an API key that it holds are automated traffic',
    is_bot_with_key Bool COMMENT 'The same of those with an API key, unless the key has an owner'
)
COMMENT 'Session or device to users, by time'
AS SELECT
    alias_kind, alias, cityHash64(alias_kind, alias) AS alias_hash, developer_ids AS user_ids,
    arrayMap(time -> toUnixTimestamp64Milli(time), developer_from) AS from_ms,
    device_id, if(device_id = '', 0, cityHash64('anonymous_id', device_id)) AS of_device_hash, is_bot, is_bot_with_key
FROM identity_rows FINAL
WHERE alias_kind IN ('session_token', 'anonymous_id');

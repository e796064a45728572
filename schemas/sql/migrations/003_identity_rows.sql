-- Grain: one row for each state an alias had since the last merge. The view `identities` shows the current one.
-- Key: (alias_kind, alias), in the order in which a user's, then a key's aliases are looked up.
-- Engine: ReplacingMergeTree. The streams publish the whole mapping of an alias again when it changes, with a higher
--   version; a row with is_deleted removes the alias.
CREATE TABLE IF NOT EXISTS identity_rows /* ON CLUSTER */
(
    alias_kind LowCardinality(String) COMMENT 'user_id, api_key, session_token or anonymous_id',
    alias String CODEC(ZSTD(1)) COMMENT 'The identifier; of an API key its keyed hash in hex',
    developer_ids Array(String) CODEC(ZSTD(1))
        COMMENT 'Of a user_id: its canonical id alone, or nothing if it is canonical itself. Of other kinds: user ids, not canonical yet, one for each split point; of an api_key with a first_hash and no owner, the visitor of that hash',
    developer_from Array(DateTime64(3, 'UTC')) CODEC(ZSTD(1))
        COMMENT 'From when on each of developer_ids holds, ascending; the first one holds for all time before too',
    company_id String CODEC(ZSTD(1)) COMMENT 'Of an api_key: its company. Of a canonical user_id: its company. Else empty',
    company_from DateTime64(3, 'UTC') COMMENT 'From when on the company holds; the first one holds for the whole history',
    first_hash String CODEC(ZSTD(1)) COMMENT 'Of an api_key hashed with a newer secret: its hash under the oldest one, which is the token. Else empty',
    device_id String DEFAULT '' CODEC(ZSTD(1)) COMMENT 'Of a session_token with events that carry neither a user nor a device: the anonymous id that it belongs to. Else empty',
    device_from DateTime64(3, 'UTC') DEFAULT 0 COMMENT 'When the session was first seen with that device; it holds for the whole history',
    is_bot Bool DEFAULT false COMMENT 'Of a session token or anonymous id: the events without an API key that it holds are automated traffic, and count for nothing',
    is_bot_with_key Bool DEFAULT false COMMENT 'The same of the events with an API key that it holds; those of a key with an owner count nevertheless',
    version UInt64 COMMENT 'Grows with each change of the alias',
    is_deleted UInt8 COMMENT '1: the alias leads nowhere any more',
    -- What else is written to the topic by mistake is refused.
    CONSTRAINT is_a_row CHECK alias_kind != '' AND alias != ''
)
ENGINE = /* Replicated */ReplacingMergeTree(version, is_deleted)
ORDER BY (alias_kind, alias)
COMMENT 'Who is behind an alias, by time, with outdated states; read the view identities';

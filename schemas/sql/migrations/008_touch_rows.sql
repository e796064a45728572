-- Grain: one row for each copy of a touch, or of outreach, that is not merged away yet. The view `touches` shows each touch
--   once, with whose it is.
-- Key: (alias_kind, alias, event_hash, content_hash): copies of an event lie together, and those that differ in their times
--   alone agree in it. There are few touches beside other events, so the week is no part of the key as it is in event_rows,
--   and copies meet whatever their times are.
-- Engine: ReplacingMergeTree, where the highest version stays. The version falls as the time rises, so the earliest copy
--   stays, whatever the order of arrival. The sink writes a row beside the event's own; writing it again changes nothing.
CREATE TABLE IF NOT EXISTS touch_rows /* ON CLUSTER */
(
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: the strongest one the event carries',
    alias String CODEC(ZSTD(1)) COMMENT 'The strongest identifier the event carries',
    event_hash UInt64 CODEC(NONE) COMMENT 'Of alias and message id, so the same for all copies of an event',
    content_hash UInt64 CODEC(NONE) COMMENT 'Of all that a number can depend on but the times; copies of an event mostly agree in it',
    message_id String CODEC(ZSTD(1)) COMMENT 'The producer''s id of the event, or one made from its content',
    time Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it happened: milliseconds since 1970 UTC',
    api_key String CODEC(ZSTD(1)) COMMENT 'Keyed hash of the API key in hex, empty if not given',
    session_token String CODEC(ZSTD(1)) COMMENT 'Session, empty if not given or if a user is',
    anonymous_id String CODEC(ZSTD(1)) COMMENT 'Browser or device, empty if not given or if a user is',
    company_id String CODEC(ZSTD(1)) COMMENT 'Company as the producer knew it, empty if not given',
    name LowCardinality(String) COMMENT 'What happened: Ad Clicked, Page Viewed, Talk Given, ...',
    campaign LowCardinality(String) COMMENT 'Of a touch: its campaign (utm_campaign), empty if none',
    source LowCardinality(String) COMMENT 'Of a touch: utm_source',
    medium LowCardinality(String) COMMENT 'Of a touch: utm_medium',
    term LowCardinality(String) COMMENT 'Of a touch: utm_term',
    content LowCardinality(String) COMMENT 'Of a touch: utm_content',
    referrer LowCardinality(String) COMMENT 'Of a touch: the host that led here, empty if none or one''s own',
    path String CODEC(ZSTD(1)) COMMENT 'Of a touch: path of the page',
    texts String CODEC(ZSTD(1)) COMMENT 'Of a touch: all these in one, which puts touches of one millisecond in order, the smaller one first',
    segments Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'Values of segments that the event itself carries, as technology',
    is_touch Bool COMMENT 'It brought someone here; else it is outreach alone',
    is_content Bool COMMENT 'The selector of touches matches it: it is a piece of content, an advertisement, an event, an invitation',
    is_outreach Bool COMMENT 'The selector of outreach matches it: something that was done to be found',
    alias_hash UInt64 MATERIALIZED cityHash64(alias_kind, alias) CODEC(ZSTD(1)) COMMENT 'Of both, to find and join with',
    key_hash UInt64 MATERIALIZED if(api_key = '', 0, cityHash64('api_key', api_key)) CODEC(ZSTD(1)) COMMENT 'Of its API key, as in api_keys; 0 if it has none',
    session_hash UInt64 MATERIALIZED if(session_token = '', 0, cityHash64('session_token', session_token)) CODEC(ZSTD(1))
        COMMENT 'Of its session token, as in web_aliases; 0 if it has none',
    device_hash UInt64 MATERIALIZED if(anonymous_id = '', 0, cityHash64('anonymous_id', anonymous_id)) CODEC(ZSTD(1))
        COMMENT 'The same of its anonymous id',
    version UInt64 MATERIALIZED toUInt64(greatest(0, 4398046511103 - time)) CODEC(ZSTD(1)) COMMENT 'Milliseconds from time to the year 2109'
)
ENGINE = /* Replicated */ReplacingMergeTree(version)
ORDER BY (alias_kind, alias, event_hash, content_hash)
COMMENT 'Touches and outreach, with their copies; read the views touches and outreach';

-- Grain: one row for each copy of an event that is not merged away yet. The view `events` shows one row an event.
-- Key: (week, alias_kind, alias, content_hash). The week is first: rows that come now lie in the last weeks, so that reading
--   with FINAL has nothing to merge in the others. It is made of the time as the views show it, so that a condition on
--   that reads only its weeks; an index beside the key would not do, because FINAL must then read all that lies between the
--   keys of the rows found, and one late event lies between all of them. An alias lies together within each week; its hash is last in the
--   key, where it changes nothing, because what is in the key may be compared before copies are merged. Copies of an event agree in
--   all but their times, so they agree in the key if they are of one week; those of other weeks are displaced (`reconcile/copies.sql`). Copies that disagree in more stay apart. The
--   hash takes the place of message_id because FINAL compares the whole key: eight bytes are faster than a text. Two
--   events meet in it only if they share alias and all 64 bits; of a million events of an alias the chance is one in 37 million.
-- Engine: ReplacingMergeTree, where the highest version stays. The version falls as the time rises, so the earliest copy
--   stays, whatever the order of arrival. A displaced copy is a row with is_deleted and the highest version of all.
-- Times are the numbers that the events hold, so that writing needs no conversion; the views show them as times.
-- No partitions: an insert that replays years would fall into hundreds.
CREATE TABLE IF NOT EXISTS event_rows /* ON CLUSTER */
(
    message_id String CODEC(ZSTD(1)) COMMENT 'The producer''s id of the event, or one made from its content',
    time Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When it happened, corrected for the client''s clock: milliseconds since 1970 UTC',
    received_at Int64 CODEC(Delta, ZSTD(1)) COMMENT 'When the collector, else Kafka, got it: milliseconds since 1970 UTC',
    source LowCardinality(String) COMMENT 'web or api',
    type LowCardinality(String) COMMENT 'event, identify, group or merge',
    name LowCardinality(String) COMMENT 'What happened: Page Viewed, Signed Up, API Call, ...',
    anonymous_id String CODEC(ZSTD(1)) COMMENT 'Browser or device, empty if not given',
    session_token String CODEC(ZSTD(1)) COMMENT 'Session, empty if not given',
    api_key String CODEC(ZSTD(1)) COMMENT 'Keyed hash of the API key in hex, empty if not given; the key itself is stored nowhere',
    user_id String CODEC(ZSTD(1)) COMMENT 'User as the producer knew him, empty if not given',
    company_id String CODEC(ZSTD(1)) COMMENT 'Company as the producer knew it, empty if not given',
    previous_id String CODEC(ZSTD(1)) COMMENT 'Of a merge: the user id that leads to user_id from now on',
    environment LowCardinality(String) COMMENT 'production, test or development',
    properties String CODEC(ZSTD(1)) COMMENT 'JSON object: the properties of the event',
    context String CODEC(ZSTD(1)) COMMENT 'JSON object: campaign, page, device, library, ...',
    traits String CODEC(ZSTD(1)) COMMENT 'JSON object: the traits of the user or company in an identify or group call',
    is_internal Bool COMMENT 'By the configuration of the own organisation''s traffic when it was written',
    is_bot Bool COMMENT 'By its user agent and the configuration when it was written',
    is_use Bool COMMENT 'It carries an API key and matches the `usage` selector of the configuration when it was written',
    alias_kind LowCardinality(String) MATERIALIZED multiIf(
        user_id != '', 'user_id', api_key != '', 'api_key', session_token != '', 'session_token', 'anonymous_id')
        COMMENT 'Which identifier is the alias: the strongest one the event carries',
    alias String MATERIALIZED multiIf(
        user_id != '', user_id, api_key != '', api_key, session_token != '', session_token, anonymous_id)
        CODEC(ZSTD(1)) COMMENT 'The strongest identifier the event carries',
    alias_hash UInt64 MATERIALIZED cityHash64(alias_kind, alias) CODEC(ZSTD(1)) COMMENT 'Of both, to find and join with',
    key_hash UInt64 MATERIALIZED if(api_key = '', 0, cityHash64('api_key', api_key)) CODEC(ZSTD(1)) COMMENT 'Of its API key, as in api_keys; 0 if it has none',
    session_hash UInt64 MATERIALIZED if(user_id != '' OR session_token = '', 0, cityHash64('session_token', session_token)) CODEC(ZSTD(1))
        COMMENT 'Of its session token, as in web_aliases; 0 if it has none, or names a user',
    device_hash UInt64 MATERIALIZED if(user_id != '' OR anonymous_id = '', 0, cityHash64('anonymous_id', anonymous_id)) CODEC(ZSTD(1))
        COMMENT 'The same of its anonymous id',
    content_hash UInt64 MATERIALIZED sipHash64(
        message_id, source, type, name, anonymous_id, session_token, api_key, user_id, company_id, previous_id, environment,
        properties, context, traits)
        CODEC(NONE) COMMENT 'Of all but the times; copies of an event agree in it',
    version UInt64 MATERIALIZED bitShiftLeft(toUInt64(greatest(0, 4398046511103 - time)), 22)
        + toUInt64(4194303 - positiveModulo(received_at, 4194304))
        CODEC(ZSTD(1)) COMMENT 'Milliseconds from time to the year 2109 (42 bits), then a tie-break by received_at (22 bits)',
    is_deleted UInt8 MATERIALIZED 0 COMMENT '1: a copy of it is of an earlier week, and takes its place',
    week Date ALIAS toMonday(fromUnixTimestamp64Milli(time, 'UTC')) COMMENT 'Monday of its week',
    inserted_at DateTime MATERIALIZED now() CODEC(ZSTD(1)) COMMENT 'When it was written; by it reconcile finds the new rows',
    path String MATERIALIZED JSONExtractString(properties, 'path') CODEC(ZSTD(1)) COMMENT 'properties.path: page or API route',
    status Nullable(UInt16) MATERIALIZED JSONExtract(properties, 'status', 'Nullable(UInt16)') CODEC(ZSTD(1))
        COMMENT 'properties.status: HTTP status of an API call',
    latency_ms Nullable(Float64) MATERIALIZED JSONExtract(properties, 'latency_ms', 'Nullable(Float64)') CODEC(ZSTD(1))
        COMMENT 'properties.latency_ms: how long an API call took',
    sdk LowCardinality(String) MATERIALIZED if(source = 'api', JSONExtractString(context, 'sdk'), '')
        COMMENT 'Of an API event, context.sdk: the client library',
    INDEX insertions inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = /* Replicated */ReplacingMergeTree(version, is_deleted)
PRIMARY KEY (toMonday(fromUnixTimestamp64Milli(time, 'UTC')), alias_kind, alias, content_hash)
ORDER BY (toMonday(fromUnixTimestamp64Milli(time, 'UTC')), alias_kind, alias, content_hash, alias_hash)
COMMENT 'Every event received, with its copies; read the view events';

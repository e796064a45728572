-- Grain: one row for each state of a count: the events of an alias on a day that agree in all of the key. The view `usage`
--   shows the current ones.
-- Key: the day first, so that a period lies together, and what comes now is merged with its own days only; then the alias.
--   Events that name no user are kept apart by session and device too, because either may lead to one; plain API traffic has neither.
--   Counts are kept by alias, never by developer: the owner of an alias is looked up when they are read, so a late link moves
--   them too, and an erasure removes just the erased person's own.
-- Engine: ReplacingMergeTree. `reconcile/usage.sql` counts the days of an alias again from event_rows whenever one of
--   their events was written, and writes what has changed with a higher version; a count of none has is_deleted.
CREATE TABLE IF NOT EXISTS usage_rows /* ON CLUSTER */
(
    day Date COMMENT 'UTC day',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: the strongest one the events carry',
    alias String CODEC(ZSTD(1)) COMMENT 'The strongest identifier the events carry',
    api_key String CODEC(ZSTD(1)) COMMENT 'Keyed hash of the API key in hex, empty if not given',
    session_token String CODEC(ZSTD(1)) COMMENT 'Session, empty if not given or if a user is',
    anonymous_id String CODEC(ZSTD(1)) COMMENT 'Browser or device, empty if not given or if a user is',
    company_id String CODEC(ZSTD(1)) COMMENT 'Company as the producer knew it, empty if not given',
    environment LowCardinality(String) COMMENT 'production, test or development',
    source LowCardinality(String) COMMENT 'web or api',
    type LowCardinality(String) COMMENT 'event, identify, group or merge',
    name LowCardinality(String) COMMENT 'What happened: Page Viewed, Signed Up, API Call, ...',
    sdk LowCardinality(String) COMMENT 'Client library of API events, empty if not given',
    is_internal Bool COMMENT 'Traffic of the own organisation: counts for nothing',
    is_bot Bool COMMENT 'Automated traffic by its user agent: counts for nothing',
    events UInt64 CODEC(ZSTD(1)) COMMENT 'How many',
    successes UInt64 CODEC(ZSTD(1)) COMMENT 'How many of them have an HTTP status of 200 to 299',
    client_errors UInt64 CODEC(ZSTD(1)) COMMENT 'How many of them have one of 400 to 499',
    server_errors UInt64 CODEC(ZSTD(1)) COMMENT 'How many of them have one of 500 to 599',
    latency_events UInt64 CODEC(ZSTD(1)) COMMENT 'How many of them have a latency',
    latency_us UInt64 CODEC(ZSTD(1)) COMMENT 'Sum of these latencies, in whole microseconds, so that it is the same in any order',
    hours Map(UInt8, UInt32) CODEC(ZSTD(1))
        COMMENT 'Of them, those that are use of the API, by the hour of the day that ends at so many o''clock, from 0 to 24: an hour includes its end, so what happened at midnight is of hour 0',
    moments Array(Tuple(time Int64, status_class UInt16, latency_us Int64, is_use Bool)) CODEC(ZSTD(1))
        COMMENT 'Of events with a session token or anonymous id, each one: when, first digit of its status or 0, latency or -1, whether it is use of the API; by these a shared device is split exactly',
    alias_hash UInt64 MATERIALIZED cityHash64(alias_kind, alias) CODEC(ZSTD(1)) COMMENT 'Of both, to find and join with',
    key_hash UInt64 MATERIALIZED if(api_key = '', 0, cityHash64('api_key', api_key)) CODEC(ZSTD(1)) COMMENT 'Of its API key, as in api_keys; 0 if it has none',
    session_hash UInt64 MATERIALIZED if(session_token = '', 0, cityHash64('session_token', session_token)) CODEC(ZSTD(1))
        COMMENT 'Of its session token, as in web_aliases; 0 if it has none',
    device_hash UInt64 MATERIALIZED if(anonymous_id = '', 0, cityHash64('anonymous_id', anonymous_id)) CODEC(ZSTD(1))
        COMMENT 'The same of its anonymous id',
    has_web_alias Bool MATERIALIZED session_token != '' OR anonymous_id != ''
        COMMENT 'The events name no user, but a session or a device: whose they are may depend on it, and on the time',
    own_developer_hash UInt64 MATERIALIZED cityHash64(if(alias_kind = 'user_id', alias, concat(alias_kind, ':', alias))) CODEC(ZSTD(1))
        COMMENT 'Of the id of the developer that the alias itself is, while no one else is known behind it',
    counted_hash UInt64 MATERIALIZED sipHash64(alias_kind, alias, api_key, company_id) CODEC(ZSTD(1))
        COMMENT 'Of all on which depends whose the events are, if no web alias decides, so that counts of one owner can be added up before he is asked for',
    uses UInt32 MATERIALIZED arraySum(mapValues(hours)) - hours[0] CODEC(ZSTD(1)) COMMENT 'How many are use of the API, after midnight',
    uses_at_midnight UInt32 MATERIALIZED hours[0] CODEC(ZSTD(1)) COMMENT 'And how many at midnight itself, which is of the day that ends then',
    version UInt64 COMMENT 'When it was counted, milliseconds since 1970 UTC',
    is_deleted UInt8 COMMENT '1: there are no such events any more'
)
ENGINE = /* Replicated */ReplacingMergeTree(version, is_deleted)
ORDER BY
(
    day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot
)
COMMENT 'Events counted by day and alias, with outdated states; read the views usage, api_usage and usage_resolved';

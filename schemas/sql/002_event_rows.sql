-- Grain: one row for each copy of an event that is not merged away yet. The view `events` shows one row an event.
-- Key: (alias_kind, alias, content_hash). Copies of an event agree in all but their times, so they agree in the key; copies
--   that disagree in more stay apart. The hash takes the place of message_id in the key because FINAL reads and compares
--   the whole key of every row: eight bytes instead of a text make it twice as fast. Two events meet in it only if they
--   share alias and all 64 bits; among a million events of one alias the chance is one in 37 million.
-- Engine: ReplacingMergeTree, where the highest version stays. The version falls as the time rises, so the earliest copy
--   stays, whatever the order of arrival.
-- Times are the numbers that the events hold, so that writing needs no conversion; the view shows them as times.
-- No partitions: whether a row is the earliest copy depends on rows of any other month, so a partition by time would not
--   let a query skip a month, and merges would never bring the copies together.
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
    properties String CODEC(ZSTD(1)) COMMENT 'JSON object: what the event says of itself',
    context String CODEC(ZSTD(1)) COMMENT 'JSON object: campaign, page, device, library, ...',
    traits String CODEC(ZSTD(1)) COMMENT 'JSON object: what an identify or group call says of the user or company',
    is_internal Bool COMMENT 'By the configuration of the own organisation''s traffic when it was written',
    is_bot Bool COMMENT 'By its user agent and the configuration when it was written',
    alias_kind LowCardinality(String) MATERIALIZED multiIf(
        user_id != '', 'user_id', api_key != '', 'api_key', session_token != '', 'session_token', 'anonymous_id')
        COMMENT 'Which identifier is the alias: the strongest one the event carries',
    alias String MATERIALIZED multiIf(
        user_id != '', user_id, api_key != '', api_key, session_token != '', session_token, anonymous_id)
        CODEC(ZSTD(1)) COMMENT 'The strongest identifier the event carries',
    content_hash UInt64 MATERIALIZED sipHash64(
        message_id, source, type, name, anonymous_id, session_token, api_key, user_id, company_id, previous_id, environment,
        properties, context, traits)
        CODEC(NONE) COMMENT 'Of all but the times; copies of an event agree in it',
    version UInt64 MATERIALIZED bitShiftLeft(toUInt64(greatest(0, 4398046511103 - time)), 22)
        + toUInt64(4194303 - positiveModulo(received_at, 4194304))
        CODEC(ZSTD(1)) COMMENT 'Milliseconds from time to the year 2109 (42 bits), then a tie-break by received_at (22 bits)'
)
ENGINE = /* Replicated */ReplacingMergeTree(version)
ORDER BY (alias_kind, alias, content_hash)
COMMENT 'Every event received, with its copies; read the view events';

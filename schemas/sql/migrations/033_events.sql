-- Grain: one row an event, at its earliest time.
-- Key: (alias_kind, alias, message_id), unless copies of an event disagree in more than their times: then each is a row.
-- Engine: a view over event_rows with FINAL, so that copies count once before they are merged. A condition on time reads only
--   the weeks it needs, one on alias_kind and alias a few rows of each week; any other reads the columns it names of all rows.
--   A copy that came with a time in another week is seen beside the earlier one until the sink reconciles, seconds later.
CREATE OR REPLACE VIEW events /* ON CLUSTER */
(
    message_id String COMMENT 'The producer''s id of the event, or one made from its content',
    time DateTime64(3, 'UTC') COMMENT 'When it happened, corrected for the client''s clock',
    received_at DateTime64(3, 'UTC') COMMENT 'When the collector, else Kafka, got it',
    source LowCardinality(String) COMMENT 'web or api',
    type LowCardinality(String) COMMENT 'event, identify, group or merge',
    name LowCardinality(String) COMMENT 'What happened: Page Viewed, Signed Up, API Call, ...',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the event carries',
    alias_hash UInt64 COMMENT 'Of alias_kind and alias: a number, by which joins are faster than by texts',
    key_hash UInt64 COMMENT 'Of its API key, as in api_keys; 0 if it has none',
    session_hash UInt64 COMMENT 'Of its session token, as in web_aliases; 0 if it has none, or names a user',
    device_hash UInt64 COMMENT 'The same of its anonymous id',
    user_id String COMMENT 'User as the producer knew him, empty if not given',
    api_key String COMMENT 'Keyed hash of the API key in hex, empty if not given',
    session_token String COMMENT 'Session, empty if not given',
    anonymous_id String COMMENT 'Browser or device, empty if not given',
    company_id String COMMENT 'Company as the producer knew it, empty if not given',
    previous_id String COMMENT 'Of a merge: the user id that leads to user_id from now on',
    environment LowCardinality(String) COMMENT 'production, test or development',
    is_internal Bool COMMENT 'Traffic of the own organisation: counts for nothing',
    is_bot Bool COMMENT 'Automated traffic by its user agent: counts for nothing',
    is_use Bool COMMENT 'Use of the API: it carries a key and matches the selector `usage`',
    path String COMMENT 'properties.path: page or API route, empty if not given',
    status Nullable(UInt16) COMMENT 'properties.status: HTTP status of an API call',
    latency_ms Nullable(Float64) COMMENT 'properties.latency_ms: how long an API call took',
    sdk LowCardinality(String) COMMENT 'Of an API event, context.sdk: the client library',
    properties String COMMENT 'JSON object: the properties of the event',
    context String COMMENT 'JSON object: campaign, page, device, library, ...',
    traits String COMMENT 'JSON object: the traits of the user or company in an identify or group call'
)
COMMENT 'Every event once, with the identifiers it carried'
AS SELECT
    message_id,
    fromUnixTimestamp64Milli(time, 'UTC') AS time,
    fromUnixTimestamp64Milli(received_at, 'UTC') AS received_at,
    source, type, name, alias_kind, alias, alias_hash, key_hash, session_hash, device_hash, user_id, api_key, session_token, anonymous_id, company_id, previous_id, environment, is_internal, is_bot, is_use,
    path, status, latency_ms, sdk,
    properties, context, traits
FROM event_rows FINAL;

-- Grain: the events of one alias on one UTC day that agree in all the columns before `events`.
-- Key: day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot.
-- Engine: a view over usage_rows with FINAL. It agrees with `events` as of the last time that the sink reconciled: seconds ago.
CREATE OR REPLACE VIEW usage /* ON CLUSTER */
(
    day Date COMMENT 'UTC day',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the events carry',
    alias_hash UInt64 COMMENT 'Of alias_kind and alias: a number, by which joins are faster than by texts',
    api_key String COMMENT 'Keyed hash of the API key in hex, empty if not given',
    session_token String COMMENT 'Session, empty if not given or if a user is',
    anonymous_id String COMMENT 'Browser or device, empty if not given or if a user is',
    company_id String COMMENT 'Company as the producer knew it, empty if not given',
    environment LowCardinality(String) COMMENT 'production, test or development',
    source LowCardinality(String) COMMENT 'web or api',
    type LowCardinality(String) COMMENT 'event, identify, group or merge',
    name LowCardinality(String) COMMENT 'What happened: Page Viewed, Signed Up, API Call, ...',
    sdk LowCardinality(String) COMMENT 'Client library of API events, empty if not given',
    is_internal Bool COMMENT 'Traffic of the own organisation: counts for nothing',
    is_bot Bool COMMENT 'Automated traffic by its user agent: counts for nothing',
    events UInt64 COMMENT 'How many; add them up',
    successes UInt64 COMMENT 'How many of them have an HTTP status of 200 to 299',
    client_errors UInt64 COMMENT 'How many of them have one of 400 to 499',
    server_errors UInt64 COMMENT 'How many of them have one of 500 to 599',
    latency_events UInt64 COMMENT 'How many of them have a latency',
    latency_ms Float64 COMMENT 'Sum of these latencies; the mean is sum(latency_ms) / sum(latency_events)',
    hours Map(UInt8, UInt32) COMMENT 'Of them, those that are use of the API, by the hour of the day that ends at so many o''clock: 0 is midnight itself'
)
COMMENT 'Events counted by day and alias'
AS SELECT
    day, alias_kind, alias, alias_hash, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot,
    events, successes, client_errors, server_errors, latency_events, latency_us / 1000 AS latency_ms, hours
FROM usage_rows FINAL;

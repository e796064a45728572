-- Grain: as `usage`, but a shared device's events of one day are a row for each of its owners.
-- Key: as of `usage`, and developer_id.
-- Engine: a view; the join is with the current owners, so all counts follow every late link. Ask for a period by `day`: it is the order of the rows. About use of the API alone ask `api_usage`, which is a
--   part of this one and costs half.
CREATE OR REPLACE VIEW usage_resolved /* ON CLUSTER */
(
    day Date COMMENT 'UTC day',
    developer_id String COMMENT 'Canonical user id, or <alias kind>:<alias> of the visitor while no identifier leads to a user',
    company_id String COMMENT 'Company as the producer knew it, else of the API key, else of the developer; empty if none',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the events carry',
    alias_hash UInt64 COMMENT 'Of alias_kind and alias: a number, by which joins are faster than by texts',
    api_key String COMMENT 'Keyed hash of the API key in hex, empty if not given',
    event_company_id String COMMENT 'Company as the producer knew it, empty if not given',
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
COMMENT 'Events counted by day, with the developer and company they belong to by all that is known now'
AS
SELECT * EXCEPT (developer_hash, is_known, token_hash) FROM api_usage
UNION ALL
SELECT
    day, if(users.developer_id != '', users.developer_id, alias) AS developer_id,
    if(counts.company_id != '', counts.company_id, users.company_id) AS company_id,
    alias_kind, alias, counts.alias_hash AS alias_hash, '' AS api_key, counts.company_id AS event_company_id, environment, source, type, name, sdk,
    is_internal, is_bot, events, successes, client_errors, server_errors, latency_events, latency_us / 1000 AS latency_ms, hours
FROM (SELECT *, alias_hash FROM usage_rows FINAL WHERE alias_kind = 'user_id' AND api_key = '') AS counts
ANY LEFT JOIN (SELECT cityHash64('user_id', user_id) AS alias_hash, developer_id, company_id FROM canonical_users) AS users
    ON counts.alias_hash = users.alias_hash
UNION ALL
SELECT
    day, developer_id, company_id, alias_kind, alias, alias_hash, api_key, event_company_id, environment, source, type, name, sdk,
    is_internal, is_bot, events, successes, client_errors, server_errors, latency_events, latency_us / 1000 AS latency_ms, hours
FROM web_usage
WHERE api_key = ''
SETTINGS optimize_move_to_prewhere_if_final = 1;

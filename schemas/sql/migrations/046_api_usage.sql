-- Grain: as `usage`, of the counts that carry an API key.
-- Key: as of `usage`.
-- Engine: a view; the join is with the current owners, so all counts follow every late link. Nearly all of these counts are a
--   key's own, which are found without reading the texts of their keys: so this is what questions about use of the API ask, not
--   `usage_resolved`. Ask for a period by `day`: it is the order of the rows. One company or developer: name `alias_hash`
--   too, with `aliases_of`, as `queries/usage.sql` does, so that only its own counts are joined.
CREATE OR REPLACE VIEW api_usage /* ON CLUSTER */
(
    day Date COMMENT 'UTC day',
    developer_id String COMMENT 'Canonical user id, or <alias kind>:<alias> of the visitor while no identifier leads to a user',
    developer_hash UInt64 COMMENT 'Of developer_id, cityHash64: a number, by which developers are counted faster',
    is_known Bool COMMENT 'It is a user',
    company_id String COMMENT 'Company as the producer knew it, else of the API key, else of the developer; empty if none',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the events carry',
    alias_hash UInt64 COMMENT 'Of alias_kind and alias: a number, by which joins are faster than by texts',
    api_key String COMMENT 'Keyed hash of the API key in hex',
    token_hash UInt64 COMMENT 'Of the key under the oldest secret: distinct ones are tokens, however often the secret was changed',
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
COMMENT 'Events with an API key counted by day, with the developer and company they belong to by all that is known now'
AS
WITH
    counts AS
    (
        SELECT *, alias_hash, own_developer_hash, key_hash, has_web_alias FROM usage_rows FINAL
        WHERE api_key != '' AND alias_kind IN ('user_id', 'api_key')
    ),
    owned AS
    (
        SELECT
            day, counts.alias_kind AS alias_kind, alias, counts.alias_hash AS alias_hash, own_developer_hash, alias AS api_key,
            counts.company_id AS company_id, environment, source, type, name, sdk, is_internal, is_bot, events, successes, client_errors,
            server_errors, latency_events, latency_us, hours, owner, owner_hash, owner_is_user AS is_known, owner_company_id,
            if(owners.token_hash != 0, owners.token_hash, counts.alias_hash) AS token_hash
        FROM (SELECT * FROM counts WHERE alias_kind = 'api_key') AS counts
        ANY LEFT JOIN
        (
            SELECT
                key_hash AS alias_hash,
                -- The visitor of a newer hash is that of the oldest one.
                multiIf(developer_id != '', developer_id, token != api_key, concat('api_key:', token), '') AS owner,
                if(owner != '', cityHash64(owner), 0) AS owner_hash, developer_id != '' AS owner_is_user,
                if(company_id != '', company_id, developer_company_id) AS owner_company_id, cityHash64('api_key', token) AS token_hash
            FROM api_keys
        ) AS owners ON counts.alias_hash = owners.alias_hash
        -- What belongs by session or device is below.
        WHERE owner_is_user OR NOT has_web_alias
        UNION ALL
        -- A user's events that carry a key besides: the developer is the user, the company first of all that of the key.
        SELECT
            day, counts.alias_kind AS alias_kind, alias, counts.alias_hash AS alias_hash, own_developer_hash, api_key,
            counts.company_id AS company_id, environment, source, type, name, sdk, is_internal, is_bot, events, successes, client_errors,
            server_errors, latency_events, latency_us, hours, owner, owner_hash, true AS is_known,
            if(key_company_id != '', key_company_id, user_company_id) AS owner_company_id,
            if(keys.token_hash != 0, keys.token_hash, counts.key_hash) AS token_hash
        FROM (SELECT * FROM counts WHERE alias_kind = 'user_id') AS counts
        ANY LEFT JOIN
        (
            SELECT cityHash64('user_id', user_id) AS alias_hash, developer_id AS owner, cityHash64(owner) AS owner_hash, company_id AS user_company_id
            FROM canonical_users
        ) AS users ON counts.alias_hash = users.alias_hash
        ANY LEFT JOIN
        (SELECT key_hash, company_id AS key_company_id, cityHash64('api_key', token) AS token_hash FROM api_keys) AS keys
            ON counts.key_hash = keys.key_hash
    )
SELECT
    day,
    multiIf(owner != '', owner, alias_kind = 'user_id', alias, concat(alias_kind, ':', alias)) AS developer_id,
    if(owner_hash != 0, owner_hash, own_developer_hash) AS developer_hash,
    is_known,
    if(owned.company_id != '', owned.company_id, owner_company_id) AS company_id,
    alias_kind, alias, alias_hash, api_key, token_hash, owned.company_id AS event_company_id, environment, source, type, name, sdk,
    is_internal, is_bot, events, successes, client_errors, server_errors, latency_events, latency_us / 1000 AS latency_ms, hours
FROM owned
UNION ALL
SELECT
    day, developer_id, cityHash64(developer_id) AS developer_hash, is_known, company_id, alias_kind, alias, alias_hash, api_key,
    cityHash64('api_key', token) AS token_hash, event_company_id, environment, source, type, name, sdk,
    is_internal, is_bot, events, successes, client_errors, server_errors, latency_events, latency_us / 1000 AS latency_ms, hours
FROM web_usage
WHERE api_key != ''
SETTINGS optimize_move_to_prewhere_if_final = 1;

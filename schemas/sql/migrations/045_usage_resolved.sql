-- Grain: as `usage`, but a shared device's events of one day are a row for each of its owners.
-- Key: as of `usage`, and developer_id.
-- Engine: a view; the join is with the current owners, so all counts follow every late link. A shared device's events are
--   assigned one by one. Ask for a period by `day`: it is the order of the rows. About use of the API alone ask `api_usage`, which is a
--   part of this one and costs half.
CREATE OR REPLACE VIEW usage_resolved /* ON CLUSTER */
(
    day Date COMMENT 'UTC day',
    developer_id String COMMENT 'Canonical user id, or <alias kind>:<alias> while no one is known behind the alias',
    company_id String COMMENT 'Company as the producer knew it, else of the API key, else of the developer; empty if none',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the events carry',
    alias_hash UInt64 COMMENT 'Of alias_kind and alias, as in alias_owners',
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
WITH
    owners AS
    (
        SELECT alias_kind, alias_hash, is_shared, developer_id AS owner, company_id AS owner_company_id, from_ms, to_ms
        FROM alias_owners
        WHERE alias_kind != 'api_key'
    ),
    shared AS (SELECT * FROM owners WHERE is_shared AND alias_kind IN ('session_token', 'anonymous_id')),
    counts AS (SELECT *, alias_hash FROM usage_rows FINAL WHERE alias_kind != 'api_key' AND NOT (alias_kind = 'user_id' AND api_key != '')),
    -- Counts without a key. Those of shared devices are apart because they are few and need the most.
    owned AS
    (
        SELECT
            day, counts.alias_kind AS alias_kind, alias, counts.alias_hash AS alias_hash, company_id, environment, source, type, name, sdk,
            is_internal, is_bot, events, successes, client_errors, server_errors, latency_events, latency_us, hours, owner, owner_company_id
        FROM counts
        ANY LEFT JOIN owners ON counts.alias_hash = owners.alias_hash
        WHERE NOT is_shared
        UNION ALL
        SELECT
            day, alias_kind, alias, alias_hash, company_id, environment, source, type, name, sdk, is_internal, is_bot,
            toUInt64(length(own)) AS events,
            toUInt64(arrayCount(moment -> moment.2 = 2, own)) AS successes,
            toUInt64(arrayCount(moment -> moment.2 = 4, own)) AS client_errors,
            toUInt64(arrayCount(moment -> moment.2 = 5, own)) AS server_errors,
            toUInt64(arrayCount(moment -> moment.3 >= 0, own)) AS latency_events,
            arraySum(moment -> toUInt64(greatest(moment.3, 0)), own) AS latency_us,
            -- Use is by key, which a browser's or session's events do not carry.
            CAST(map(), 'Map(UInt8, UInt32)') AS hours,
            owner, owner_company_id
        FROM
        (
            SELECT
                day, counts.alias_kind AS alias_kind, alias, counts.alias_hash AS alias_hash, company_id, environment, source, type, name, sdk, is_internal, is_bot,
                arrayFilter(moment -> moment.1 >= from_ms AND moment.1 < to_ms, moments) AS own, owner, owner_company_id
            FROM
            (
                SELECT * FROM counts
                WHERE alias_kind IN ('session_token', 'anonymous_id') AND alias_hash IN
                (
                    SELECT cityHash64(alias_kind, alias) FROM identity_rows FINAL
                    WHERE alias_kind IN ('session_token', 'anonymous_id') AND length(developer_ids) > 1
                )
            ) AS counts
            INNER JOIN shared ON counts.alias_hash = shared.alias_hash
        )
        WHERE notEmpty(own)
    )
SELECT * EXCEPT (developer_hash, is_known, token_hash) FROM api_usage
UNION ALL
SELECT
    day,
    multiIf(owner != '', owner, alias_kind = 'user_id', alias, concat(alias_kind, ':', alias)) AS developer_id,
    if(owned.company_id != '', owned.company_id, owner_company_id) AS company_id,
    alias_kind, alias, alias_hash, '' AS api_key, owned.company_id AS event_company_id, environment, source, type, name, sdk, is_internal, is_bot,
    events, successes, client_errors, server_errors, latency_events, latency_us / 1000 AS latency_ms, hours
FROM owned
SETTINGS optimize_move_to_prewhere_if_final = 1;

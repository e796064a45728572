-- Grain: as `usage`, of the counts that belong by session or device: they name no user, and have no API key with an owner. A shared
--   device's counts are a row for each part of time in which it has one owner.
-- Key: as of `usage`, developer_id and part.
-- Engine: a view; the joins are with what the identifiers lead to now, as in `events_resolved`. Only events that several users share
--   are assigned one by one. Ask `api_usage` and `usage_resolved`, which hold these counts.
CREATE OR REPLACE VIEW web_usage /* ON CLUSTER */
(
    day Date COMMENT 'UTC day',
    part UInt32 COMMENT 'Which part of time of the device or session, from 1; 0 if they are not shared',
    developer_id String COMMENT 'Canonical user id, or <alias kind>:<alias> of the visitor while no identifier leads to a user',
    is_known Bool COMMENT 'It is a user',
    company_id String COMMENT 'Company as the producer knew it, else of the API key, else of the developer; empty if none',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the events carry',
    alias_hash UInt64 COMMENT 'Of alias_kind and alias: a number, by which joins are faster than by texts',
    api_key String COMMENT 'Keyed hash of the API key in hex, empty if not given',
    token String COMMENT 'The key under the oldest secret, by which it is one token; empty if there is no key',
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
    latency_us UInt64 COMMENT 'Sum of these latencies, in whole microseconds',
    hours Map(UInt8, UInt32) COMMENT 'Of them, those that are use of the API, by the hour of the day that ends at so many o''clock: 0 is midnight itself'
)
COMMENT 'Events that belong by session or device counted by day, with the developer and company they belong to'
AS
WITH
    linked AS
    (
        SELECT
            counts.*, key_company_id, token, if(anonymous_id != '', anonymous_id, session_device) AS device_id,
            if(notEmpty(session_users), session_users, device_users) AS user_ids,
            if(notEmpty(session_users), session_from, device_from) AS from_ms
        FROM
        (
            SELECT *, alias_hash, key_hash, session_hash, device_hash FROM usage_rows FINAL
            WHERE alias_kind != 'user_id' AND has_web_alias AND key_hash NOT IN (SELECT key_hash FROM api_keys WHERE developer_id != '')
        ) AS counts
        ANY LEFT JOIN (SELECT key_hash AS of_key, company_id AS key_company_id, token FROM api_keys) AS keys ON counts.key_hash = of_key
        ANY LEFT JOIN
        (
            SELECT alias_hash AS session, user_ids AS session_users, from_ms AS session_from, device_id AS session_device, of_device_hash
            FROM web_aliases WHERE alias_kind = 'session_token'
        ) AS sessions ON counts.session_hash = session
        ANY LEFT JOIN
        (
            SELECT alias_hash AS device, user_ids AS device_users, from_ms AS device_from
            FROM web_aliases WHERE alias_kind = 'anonymous_id' AND notEmpty(user_ids)
        ) AS devices ON if(counts.device_hash != 0, counts.device_hash, of_device_hash) = device
    ),
    parts AS
    (
        SELECT
            0 AS part, user_ids[1] AS user, day, alias_kind, alias, alias_hash, api_key, session_token, device_id, token, key_company_id, company_id,
            environment, source, type, name, sdk, is_internal, is_bot,
            events, successes, client_errors, server_errors, latency_events, latency_us, hours
        FROM linked
        WHERE length(user_ids) < 2
        UNION ALL
        SELECT
            part, user, day, alias_kind, alias, alias_hash, api_key, session_token, device_id, token, key_company_id, company_id,
            environment, source, type, name, sdk, is_internal, is_bot,
            toUInt64(length(own)) AS events,
            toUInt64(arrayCount(moment -> moment.status_class = 2, own)) AS successes,
            toUInt64(arrayCount(moment -> moment.status_class = 4, own)) AS client_errors,
            toUInt64(arrayCount(moment -> moment.status_class = 5, own)) AS server_errors,
            toUInt64(arrayCount(moment -> moment.latency_us >= 0, own)) AS latency_events,
            arraySum(moment -> toUInt64(greatest(moment.latency_us, 0)), own) AS latency_us,
            CAST(arrayMap(hour -> (hour, countEqual(use_hours, hour)), arraySort(arrayDistinct(use_hours))), 'Map(UInt8, UInt32)') AS hours
        FROM
        (
            SELECT
                *, user, part,
                -- As `reconcile/usage.sql` counts them.
                arrayMap(
                    moment -> toUInt8(intDiv(moment.time - intDiv(moment.time, 86400000) * 86400000 + 3599999, 3600000)),
                    arrayFilter(moment -> moment.is_use, own)) AS use_hours,
                arrayFilter(moment -> greatest(1, arrayCount(from -> from <= moment.time, from_ms)) = part, moments) AS own
            FROM linked
            ARRAY JOIN user_ids AS user, arrayEnumerate(user_ids) AS part
            WHERE length(user_ids) > 1
        )
        WHERE notEmpty(own)
    )
SELECT
    day, part,
    multiIf(
        users.developer_id != '', users.developer_id,
        user != '', user,
        device_id != '', concat('anonymous_id:', device_id),
        concat('session_token:', session_token)) AS developer_id,
    user != '' AS is_known,
    multiIf(parts.company_id != '', parts.company_id, key_company_id != '', key_company_id, users.company_id) AS company_id,
    alias_kind, alias, alias_hash, api_key, if(token != '', token, api_key) AS token, parts.company_id AS event_company_id,
    environment, source, type, name, sdk, is_internal, is_bot,
    events, successes, client_errors, server_errors, latency_events, latency_us, hours
FROM parts
ANY LEFT JOIN (SELECT cityHash64(user_id) AS user_hash, developer_id, company_id FROM canonical_users) AS users ON cityHash64(parts.user) = users.user_hash
SETTINGS optimize_move_to_prewhere_if_final = 1;

-- Grain: one row an event, with the developer and company it belongs to by all that is known now.
-- Key: as of `events`.
-- Engine: a view; the joins are with what the identifiers lead to now, so the whole history follows every late link. The
--   right sides hold only identifiers that lead somewhere, and are small beside the events.
-- Rules: the developer is the user, else the owner of the key, else the user of the session at that time, else that of the device, which
--   is the anonymous id, or where it carries none that of its session. Else it is the visitor of the device, the session or the key.
--   Ask for one developer with the view `journey`, which reads only the events of that developer's aliases; for counts by
--   day with `usage_resolved` or `api_usage`, which are counted already; else for a period, by `time`.
CREATE OR REPLACE VIEW events_resolved /* ON CLUSTER */
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
    developer_id String COMMENT 'Canonical user id, or <alias kind>:<alias> of the visitor while no identifier leads to a user',
    company_id String COMMENT 'Company as the producer knew it, else of the API key, else of the developer; empty if none',
    user_id String COMMENT 'User as the producer knew him, empty if not given',
    api_key String COMMENT 'Keyed hash of the API key in hex, empty if not given',
    session_token String COMMENT 'Session, empty if not given',
    anonymous_id String COMMENT 'Browser or device, empty if not given',
    event_company_id String COMMENT 'Company as the producer knew it, empty if not given',
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
COMMENT 'Every event once, with the developer and company it belongs to by all that is known now'
AS
WITH
    linked AS
    (
        SELECT
            events.*, key_owner, key_company_id, token, if(anonymous_id != '', anonymous_id, session_device) AS device_id,
            if(notEmpty(session_users), session_users, device_users) AS user_ids,
            if(notEmpty(session_users), session_from, device_from) AS from_ms
        FROM events
        ANY LEFT JOIN (SELECT key_hash AS of_key, developer_id AS key_owner, company_id AS key_company_id, token FROM api_keys) AS keys ON events.key_hash = of_key
        ANY LEFT JOIN
        (
            SELECT alias_hash AS session, user_ids AS session_users, from_ms AS session_from, device_id AS session_device, of_device_hash
            FROM web_aliases WHERE alias_kind = 'session_token'
        ) AS sessions ON events.session_hash = session
        ANY LEFT JOIN
        (
            SELECT alias_hash AS device, user_ids AS device_users, from_ms AS device_from
            FROM web_aliases WHERE alias_kind = 'anonymous_id' AND notEmpty(user_ids)
        ) AS devices ON if(events.device_hash != 0, events.device_hash, of_device_hash) = device
    ),
    owned AS
    (
        SELECT
            *,
            multiIf(
                user_id != '', user_id,
                key_owner != '', key_owner,
                user_ids[greatest(1, arrayCount(from -> from <= toUnixTimestamp64Milli(time), from_ms))]) AS user
        FROM linked
    )
SELECT
    message_id, time, received_at, source, type, name, alias_kind, alias, alias_hash,
    multiIf(
        users.developer_id != '', users.developer_id,
        user != '', user,
        device_id != '', concat('anonymous_id:', device_id),
        session_token != '', concat('session_token:', session_token),
        concat('api_key:', if(token != '', token, api_key))) AS developer_id,
    multiIf(owned.company_id != '', owned.company_id, key_company_id != '', key_company_id, users.company_id) AS company_id,
    user_id, api_key, session_token, anonymous_id, owned.company_id AS event_company_id, previous_id,
    environment, is_internal, is_bot, is_use, path, status, latency_ms, sdk, properties, context, traits
FROM owned
ANY LEFT JOIN (SELECT cityHash64(user_id) AS user_hash, developer_id, company_id FROM canonical_users) AS users ON cityHash64(user) = users.user_hash;

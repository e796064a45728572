-- Grain: one row an event, with the developer and company it belongs to by all that is known now.
-- Key: as of `events`.
-- Engine: a view; the joins are with the current owners of the aliases, so the whole history follows every late link. The
--   right sides hold only aliases that lead elsewhere, and are small beside the events.
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
    alias_hash UInt64 COMMENT 'Of alias_kind and alias, as in alias_owners',
    developer_id String COMMENT 'Canonical user id, or <alias kind>:<alias> while no one is known behind the alias',
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
    keys AS (SELECT api_key AS key_alias, company_id AS key_company_id FROM api_keys WHERE company_id != ''),
    owned AS
    (
        SELECT
            events.*, owners.developer_id AS owner, owners.company_id AS owner_company_id,
            -- Only a user's events may carry a key besides their alias.
            if(events.alias_kind = 'user_id', events.api_key, '') AS other_key
        FROM events
        LEFT JOIN (SELECT alias_hash, from_ms, to_ms, is_shared, developer_id, company_id FROM alias_owners) AS owners
            ON events.alias_hash = owners.alias_hash
        WHERE NOT is_shared OR (toUnixTimestamp64Milli(events.time) >= from_ms AND toUnixTimestamp64Milli(events.time) < to_ms)
    )
SELECT
    message_id, time, received_at, source, type, name, alias_kind, alias, owned.alias_hash AS alias_hash,
    multiIf(owner != '', owner, alias_kind = 'user_id', alias, concat(alias_kind, ':', alias)) AS developer_id,
    multiIf(owned.company_id != '', owned.company_id, key_company_id != '', key_company_id, owner_company_id) AS company_id,
    user_id, api_key, session_token, anonymous_id, owned.company_id AS event_company_id, previous_id,
    environment, is_internal, is_bot, is_use, path, status, latency_ms, sdk, properties, context, traits
FROM owned
ANY LEFT JOIN keys ON other_key = key_alias;

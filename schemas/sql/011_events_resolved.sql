-- Grain: one row an event, with the developer and company it belongs to by all that is known now.
-- Key: as of `events`.
-- Engine: a view; the joins are with the current identities, so the whole history follows every late link. Two hops lead to
--   the developer: the alias to a user at the time of the event (its latest link at or before it, else its first), then
--   the user to its canonical id. Each right side holds only aliases that lead elsewhere, and is small beside the events.
--   Ask for one developer with the view `journey`, which reads only the events of that developer's aliases.
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
    path String COMMENT 'properties.path: page or API route, empty if not given',
    status Nullable(UInt16) COMMENT 'properties.status: HTTP status of an API call',
    latency_ms Nullable(Float64) COMMENT 'properties.latency_ms: how long an API call took',
    properties String COMMENT 'JSON object: what the event says of itself',
    context String COMMENT 'JSON object: campaign, page, device, library, ...',
    traits String COMMENT 'JSON object: what an identify or group call says of the user or company'
)
COMMENT 'Every event once, with the developer and company it belongs to by all that is known now'
AS
WITH
    links AS
    (
        SELECT alias_kind, alias, developer_ids, developer_from
        FROM identity_rows FINAL
        WHERE alias_kind != 'user_id' AND notEmpty(developer_ids)
    ),
    keys AS
    (
        SELECT alias AS key_alias, company_id AS key_company_id
        FROM identity_rows FINAL
        WHERE alias_kind = 'api_key' AND company_id != ''
    ),
    linked AS
    (
        SELECT
            events.*,
            if(events.alias_kind = 'user_id', events.alias,
                links.developer_ids[greatest(1, arrayLastIndex(from_time -> from_time <= events.time, links.developer_from))])
                AS linked_user
        FROM events
        ANY LEFT JOIN links ON events.alias_kind = links.alias_kind AND events.alias = links.alias
    )
SELECT
    message_id, time, received_at, source, type, name, alias_kind, alias,
    multiIf(linked_user = '', concat(alias_kind, ':', alias), users.developer_id != '', users.developer_id, linked_user) AS developer_id,
    multiIf(linked.company_id != '', linked.company_id, key_company_id != '', key_company_id, users.company_id) AS company_id,
    linked.user_id AS user_id, api_key, session_token, anonymous_id, linked.company_id AS event_company_id, previous_id,
    environment, is_internal, is_bot, path, status, latency_ms, properties, context, traits
FROM linked
ANY LEFT JOIN canonical_users AS users ON linked_user = users.user_id
ANY LEFT JOIN keys ON api_key = key_alias;

-- Every event that counts, with its developer and company: of the first identifier that leads to a user. Those of an automated
-- alias count for nothing, but for those of an API key with an owner.
INSERT INTO {facts:Identifier}
WITH
    (users, froms, at) -> users[greatest(1, arrayLastIndex(begin -> begin <= at, froms))] AS user_at,
    -- The last interval that began at or before the event, else the first.
    links AS (SELECT web_kind, web_alias, users, froms FROM {links:Identifier} WHERE NOT is_crowded),
    of_session AS
    (
        SELECT
            marked.*, key.owner AS owner, key.key_company AS key_company,
            if(anonymous_id != '', anonymous_id, session.device) AS device,
            user_at(link.users, link.froms, time) AS session_user
        FROM (SELECT * FROM {marked:Identifier} WHERE matters) AS marked
        LEFT JOIN {keys:Identifier} AS key ON marked.api_key = key.key
        LEFT JOIN {sessions:Identifier} AS session ON marked.session_token = session.token
        LEFT JOIN (SELECT * FROM links WHERE web_kind = 'session_token') AS link ON marked.session_token = link.web_alias
        WHERE owner != ''
            OR (holder_kind, holder, api_key != '') NOT IN (SELECT kind, alias, with_key FROM {automated:Identifier})
    ),
    resolved AS
    (
        SELECT
            of_session.*,
            multiIf(user_id != '', user_id, owner != '', owner, session_user != '', session_user,
                    user_at(link.users, link.froms, time)) AS leads_to
        FROM of_session
        LEFT JOIN (SELECT * FROM links WHERE web_kind = 'anonymous_id') AS link ON of_session.device = link.web_alias
    )
SELECT
    multiIf(
        leads_to != '', member.developer,
        device != '', concat('anonymous_id:', device),
        session_token != '', concat('session_token:', session_token),
        concat('api_key:', api_key)) AS developer,
    multiIf(leads_to != '', member.company, device = '' AND session_token = '', key_company, '') AS developer_company,
    leads_to = '' AS is_visitor,
    multiIf(resolved.company_id != '', resolved.company_id, key_company != '', key_company, developer_company) AS company,
    event, time, api_key, environment, selectors, touch, segments, is_internal
FROM resolved
LEFT JOIN {members:Identifier} AS member ON resolved.leads_to = member.user

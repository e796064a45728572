-- Every event that counts, with its developer and company.
INSERT INTO {facts:Identifier}
SELECT
    if(leads_to = '', concat(alias_kind, ':', alias), member.developer) AS developer,
    multiIf(leads_to != '', member.company, alias_kind = 'api_key', key_company, '') AS developer_company,
    leads_to = '' AS is_visitor,
    multiIf(linked.company_id != '', linked.company_id, key_company != '', key_company, developer_company) AS company,
    event, time, api_key, environment, selectors, touch, segments, is_internal
FROM
(
    SELECT
        marked.*, key.key_company AS key_company,
        -- The last interval that began at or before the event, else the first.
        multiIf(alias_kind = 'user_id', alias, alias_kind = 'api_key', key.owner,
                link.users[greatest(1, arrayLastIndex(begin -> begin <= time, link.froms))]) AS leads_to
    FROM
    (
        SELECT * FROM {marked:Identifier}
        WHERE matters AND (alias_kind, alias) NOT IN (SELECT kind, alias FROM {automated:Identifier})
    ) AS marked
    LEFT JOIN {links:Identifier} AS link ON marked.alias_kind = link.web_kind AND marked.alias = link.web_alias
    LEFT JOIN {keys:Identifier} AS key ON marked.api_key = key.key
) AS linked
LEFT JOIN {members:Identifier} AS member ON linked.leads_to = member.user

-- Web aliases that hold more events that matter than a person makes, on a UTC day or in all, or have too many users or links.
INSERT INTO {automated:Identifier}
SELECT
    kind, alias, with_key,
    (kind, alias) NOT IN (SELECT web_kind, web_alias FROM {links:Identifier} WHERE NOT is_crowded)
        AND NOT (kind = 'session_token' AND alias IN (SELECT token FROM {sessions:Identifier})) AS is_visitor
FROM
(
    SELECT holder_kind AS kind, holder AS alias, with_key
    FROM
    (
        SELECT holder_kind, holder, api_key != '' AS with_key, uniqExact(event) AS events
        FROM {marked:Identifier}
        WHERE matters AND holder != ''
        GROUP BY holder_kind, holder, with_key, intDiv(time, 86400000)
    )
    GROUP BY kind, alias, with_key
    HAVING max(events) > {most_events_a_day:UInt32} OR sum(events) > {most_events:UInt32}
    UNION DISTINCT
    SELECT web_kind, web_alias, with_key FROM {links:Identifier} ARRAY JOIN [false, true] AS with_key WHERE is_crowded
)

-- Web aliases with more events that matter, more users or more links than a person has.
INSERT INTO {automated:Identifier}
SELECT kind, alias, (kind, alias) IN (SELECT web_kind, web_alias FROM {links:Identifier} WHERE NOT is_crowded) AS is_linked
FROM
(
    SELECT alias_kind AS kind, alias
    FROM {marked:Identifier}
    WHERE matters AND alias_kind IN ('session_token', 'anonymous_id')
    GROUP BY kind, alias
    HAVING count() > {most_events:UInt32} AND uniqExact(event) > {most_events:UInt32}
    UNION DISTINCT
    SELECT web_kind, web_alias FROM {links:Identifier} WHERE is_crowded
)

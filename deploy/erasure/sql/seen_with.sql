-- The other identifiers on events that carry any of these aliases.
SELECT DISTINCT one.1 AS kind, one.2 AS alias, other.1 AS other_kind, other.2 AS other_alias
FROM
(
    SELECT
        [('api_key', api_key, api_key IN {keys:Array(String)}),
        ('session_token', session_token, session_token IN {sessions:Array(String)}),
        ('anonymous_id', anonymous_id, anonymous_id IN {devices:Array(String)}),
        ('anonymous_id', if(type = 'merge', previous_id, ''), type = 'merge' AND previous_id IN {devices:Array(String)})] AS others
    FROM event_rows
    WHERE api_key IN {keys:Array(String)} OR session_token IN {sessions:Array(String)} OR anonymous_id IN {devices:Array(String)}
        OR (type = 'merge' AND previous_id IN {devices:Array(String)})
)
ARRAY JOIN others AS one
ARRAY JOIN others AS other
WHERE one.3 AND one.2 != '' AND other.2 != '' AND (one.1, one.2) != (other.1, other.2)

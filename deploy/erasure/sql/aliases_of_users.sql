-- The other identifiers on events that name any of the users. The previous id of a merge is a device too.
SELECT DISTINCT other.1 AS kind, other.2 AS alias
FROM
(
    SELECT [('api_key', api_key), ('session_token', session_token), ('anonymous_id', anonymous_id),
        ('anonymous_id', if(type = 'merge', previous_id, ''))] AS others
    FROM event_rows
    WHERE user_id IN {users:Array(String)}
)
ARRAY JOIN others AS other
WHERE other.2 != ''

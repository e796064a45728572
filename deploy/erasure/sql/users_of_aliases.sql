-- The evidence of users behind aliases: the earliest of each user and UTC day, which is what is kept of it.
SELECT other.1 AS kind, other.2 AS alias, min(time) AS first_time, user_id
FROM
(
    SELECT
        time, user_id,
        [('api_key', api_key, api_key IN {keys:Array(String)}),
        ('session_token', session_token, session_token IN {sessions:Array(String)}),
        ('anonymous_id', anonymous_id, anonymous_id IN {devices:Array(String)}),
        ('anonymous_id', previous_id, type = 'merge' AND previous_id IN {devices:Array(String)})] AS others
    FROM event_rows
    WHERE user_id != ''
        AND (api_key IN {keys:Array(String)} OR session_token IN {sessions:Array(String)} OR anonymous_id IN {devices:Array(String)}
            OR (type = 'merge' AND previous_id IN {devices:Array(String)}))
)
ARRAY JOIN others AS other
WHERE other.3
GROUP BY kind, alias, user_id, intDiv(time, 86400000)

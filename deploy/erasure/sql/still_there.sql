-- Which of the identifiers stand on events that are there, as (kind, id).
SELECT DISTINCT each.1 AS kind, each.2 AS id
FROM
(
    SELECT
        [('user_id', user_id, user_id IN {users:Array(String)}),
        ('user_id', previous_id, type = 'merge' AND previous_id != anonymous_id AND previous_id IN {users:Array(String)}),
        ('api_key', api_key, api_key IN {keys:Array(String)}),
        ('session_token', session_token, session_token IN {sessions:Array(String)}),
        ('anonymous_id', anonymous_id, anonymous_id IN {devices:Array(String)}),
        ('anonymous_id', previous_id, type = 'merge' AND previous_id IN {devices:Array(String)}),
        ('company_id', company_id, company_id IN {companies:Array(String)})] AS carried
    FROM event_rows
    WHERE is_deleted = 0
        AND (user_id IN {users:Array(String)} OR previous_id IN {users:Array(String)} OR api_key IN {keys:Array(String)}
            OR session_token IN {sessions:Array(String)} OR anonymous_id IN {devices:Array(String)}
            OR (type = 'merge' AND previous_id IN {devices:Array(String)}) OR company_id IN {companies:Array(String)})
)
ARRAY JOIN carried AS each
WHERE each.3

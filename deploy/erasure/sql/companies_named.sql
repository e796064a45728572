-- The companies on events that carry any of these identifiers.
SELECT DISTINCT company_id
FROM event_rows
WHERE company_id != ''
    AND (user_id IN {users:Array(String)} OR previous_id IN {users:Array(String)} OR api_key IN {keys:Array(String)}
        OR session_token IN {sessions:Array(String)} OR anonymous_id IN {devices:Array(String)}
        OR (type = 'merge' AND previous_id IN {devices:Array(String)}))

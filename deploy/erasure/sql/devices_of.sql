-- The devices that sessions were seen with: the earliest time of each.
SELECT session_token, min(time) AS first_time, anonymous_id
FROM event_rows
WHERE session_token IN {sessions:Array(String)} AND anonymous_id != ''
GROUP BY session_token, anonymous_id

-- All events that carry any of these identifiers, a user also as one merged away.
SELECT
    message_id, time, received_at, source, type, name, anonymous_id, session_token, api_key, user_id, company_id, previous_id,
    environment, properties, context, traits, is_internal, is_bot, is_use
FROM event_rows
WHERE is_deleted = 0
    AND (user_id IN {users:Array(String)} OR api_key IN {keys:Array(String)}
        OR session_token IN {sessions:Array(String)} OR anonymous_id IN {devices:Array(String)}
        OR (type = 'merge' AND previous_id IN {devices:Array(String)})
        OR (type = 'merge' AND user_id != '' AND previous_id != anonymous_id AND previous_id IN {users:Array(String)})
        OR ({company:String} != '' AND company_id = {company:String}))
SETTINGS max_block_size = 8192

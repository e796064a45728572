-- Rows that name any of the identifiers, by table, outdated states of rows among them. Of events, only rows that displace others.
-- visitors: keys, sessions and devices as developer ids.
SELECT 'event_rows' AS name, count() AS found
FROM event_rows
WHERE is_deleted = 1
    AND ((alias_kind = 'user_id' AND alias IN {users:Array(String)}) OR (alias_kind = 'api_key' AND alias IN {keys:Array(String)})
        OR (alias_kind = 'session_token' AND alias IN {sessions:Array(String)})
        OR (alias_kind = 'anonymous_id' AND alias IN {devices:Array(String)}))
UNION ALL
SELECT 'identity_rows' AS name, count() AS found
FROM identity_rows
WHERE (alias_kind = 'user_id' AND alias IN {users:Array(String)}) OR (alias_kind = 'api_key' AND alias IN {keys:Array(String)})
    OR (alias_kind = 'session_token' AND alias IN {sessions:Array(String)})
    OR (alias_kind = 'anonymous_id' AND alias IN {devices:Array(String)})
    OR hasAny(developer_ids, {users:Array(String)}) OR hasAny(developer_ids, {visitors:Array(String)})
    OR company_id IN {companies:Array(String)}
UNION ALL
SELECT 'profile_rows' AS name, count() AS found
FROM profile_rows
WHERE (level = 'developer' AND (id IN {users:Array(String)} OR id IN {visitors:Array(String)}))
    OR (level = 'company' AND id IN {companies:Array(String)}) OR company_id IN {companies:Array(String)}
UNION ALL
SELECT 'activity_rows' AS name, count() AS found
FROM activity_rows
WHERE (level = 'token' AND id IN {keys:Array(String)}) OR (level = 'developer' AND id IN {users:Array(String)})
    OR (level = 'company' AND id IN {companies:Array(String)})
UNION ALL
SELECT 'usage_rows' AS name, count() AS found
FROM usage_rows
WHERE (alias_kind = 'user_id' AND alias IN {users:Array(String)}) OR api_key IN {keys:Array(String)}
    OR (alias_kind = 'session_token' AND alias IN {sessions:Array(String)})
    OR (alias_kind = 'anonymous_id' AND alias IN {devices:Array(String)}) OR company_id IN {companies:Array(String)}
UNION ALL
SELECT 'touch_rows' AS name, count() AS found
FROM touch_rows
WHERE (alias_kind = 'user_id' AND alias IN {users:Array(String)}) OR api_key IN {keys:Array(String)}
    OR (alias_kind = 'session_token' AND alias IN {sessions:Array(String)})
    OR (alias_kind = 'anonymous_id' AND alias IN {devices:Array(String)}) OR company_id IN {companies:Array(String)}

-- Rows that name any of the identifiers, by table, outdated states of rows among them. Of events, only rows that displace others.
SELECT 'event_rows' AS name, count() AS found
FROM event_rows
WHERE is_deleted = 1
    AND (user_id IN {users:Array(String)} OR (previous_id IN {users:Array(String)} AND previous_id != anonymous_id)
        OR api_key IN {keys:Array(String)} OR session_token IN {sessions:Array(String)} OR anonymous_id IN {devices:Array(String)}
        OR previous_id IN {devices:Array(String)} OR company_id IN {companies:Array(String)})
UNION ALL
SELECT 'identity_rows' AS name, count() AS found
FROM identity_rows
WHERE (alias_kind, alias) IN {aliases:Array(Tuple(String, String))} OR hasAny(developer_ids, {developers:Array(String)})
    OR company_id IN {companies:Array(String)} OR device_id IN {devices:Array(String)}
UNION ALL
SELECT 'profile_rows' AS name, count() AS found
FROM profile_rows
WHERE (level = 'developer' AND id IN {developers:Array(String)}) OR (level = 'company' AND id IN {companies:Array(String)})
    OR company_id IN {companies:Array(String)}
UNION ALL
SELECT 'activity_rows' AS name, count() AS found
FROM activity_rows
WHERE (level = 'token' AND id IN {keys:Array(String)}) OR (level = 'developer' AND id IN {users:Array(String)})
    OR (level = 'company' AND id IN {companies:Array(String)})
UNION ALL
SELECT 'usage_rows' AS name, count() AS found
FROM usage_rows
WHERE (alias_kind, alias) IN {aliases:Array(Tuple(String, String))} OR api_key IN {keys:Array(String)}
    OR session_token IN {sessions:Array(String)} OR anonymous_id IN {devices:Array(String)} OR company_id IN {companies:Array(String)}
UNION ALL
SELECT 'touch_rows' AS name, count() AS found
FROM touch_rows
WHERE (alias_kind, alias) IN {aliases:Array(Tuple(String, String))} OR api_key IN {keys:Array(String)}
    OR session_token IN {sessions:Array(String)} OR anonymous_id IN {devices:Array(String)} OR company_id IN {companies:Array(String)}

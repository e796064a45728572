-- Subjects whose rows name any of the identifiers, outdated states of rows among them, as (table, scope, id).
SELECT DISTINCT 'identity' AS name, toString(alias_kind) AS scope, alias AS id
FROM identity_rows
WHERE hasAny(developer_ids, {users:Array(String)}) OR company_id IN {companies:Array(String)} OR first_hash IN {keys:Array(String)}
    OR device_id IN {devices:Array(String)}
UNION ALL
SELECT DISTINCT 'profile' AS name, toString(level) AS scope, id
FROM profile_rows
WHERE company_id IN {companies:Array(String)}

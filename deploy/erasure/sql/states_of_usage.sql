-- Counts of these aliases by a hash of their key, with the latest version and whether it is a deletion.
SELECT
    alias_kind AS scope, alias AS id,
    sipHash64(day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot) AS key_hash,
    max(version) AS latest, argMax(is_deleted, version) = 1 AS is_gone
FROM usage_rows
WHERE (alias_kind, alias) IN {subjects:Array(Tuple(String, String))}
GROUP BY day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot

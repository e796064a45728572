-- The keys of these subjects as their topic has them, their latest version, and whether that says that nothing is there.
SELECT alias_kind AS scope, alias AS id, concat(alias_kind, ':', alias) AS topic_key, max(version) AS latest, argMax(is_deleted, version) = 1 AS is_gone
FROM identity_rows
WHERE (alias_kind, alias) IN {subjects:Array(Tuple(String, String))}
GROUP BY alias_kind, alias

-- The keys of these subjects as their topic has them, their latest version, and whether that says that nothing is there.
SELECT level AS scope, id, concat(level, ':', id) AS topic_key, max(version) AS latest, argMax(is_deleted, version) = 1 AS is_gone
FROM profile_rows
WHERE (level, id) IN {subjects:Array(Tuple(String, String))}
GROUP BY level, id

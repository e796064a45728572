-- The keys of these subjects as their topic has them, their latest version, and whether that says that nothing is there.
SELECT
    level AS scope, id, concat(level, ':', environment, ':', toString(day), ':', id) AS topic_key,
    max(version) AS latest, argMax(hours, version) = 0 AS is_gone
FROM activity_rows
WHERE (level, id) IN {subjects:Array(Tuple(String, String))}
GROUP BY level, environment, day, id

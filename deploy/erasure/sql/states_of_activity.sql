-- Keys of these subjects on their topic, with the latest version and whether it has no hours.
SELECT
    level AS scope, id, concat(level, ':', environment, ':', toString(day), ':', id) AS topic_key,
    max(version) AS latest, argMax(hours, version) = 0 AS is_gone
FROM activity_rows
WHERE (level, id) IN {subjects:Array(Tuple(String, String))}
GROUP BY level, environment, day, id

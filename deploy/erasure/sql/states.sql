-- Keys of these subjects on their topic, with the latest version and whether it is a deletion.
SELECT
    {scope:Identifier} AS scope, {id:Identifier} AS id, concat({scope:Identifier}, ':', {id:Identifier}) AS topic_key,
    max(version) AS latest, argMax(is_deleted, version) = 1 AS is_gone
FROM {table:Identifier}
WHERE ({scope:Identifier}, {id:Identifier}) IN {subjects:Array(Tuple(String, String))}
GROUP BY {scope:Identifier}, {id:Identifier}

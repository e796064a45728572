-- Sign-ups, activations and what matured: a subject is in the windows that hold its moment.
INSERT INTO {steps:Identifier}
WITH
    moments AS
    (
        SELECT concat('activated:', definition) AS metric, level, id, at FROM {reached:Identifier}
        UNION ALL
        SELECT concat('matured:', definition), level, id, at FROM {matured:Identifier}
        UNION ALL
        SELECT concat('matured_activated:', definition), level, id, matures_at FROM {reached:Identifier} WHERE matures_at != 0
        UNION ALL
        SELECT 'signups' AS metric, level, id, firsts[{signup:UInt16}] AS at
        FROM {subjects:Identifier}
        WHERE NOT is_internal AND mapContains(firsts, {signup:UInt16})
    ),
    edges AS
    (
        SELECT metric, moments.level AS counted_at, places, length_hours, intDiv(at + 3599999, 3600000) AS begins
        FROM moments
        ANY LEFT JOIN {counted:Identifier} AS counted ON moments.level = counted.level AND moments.id = counted.id
        ARRAY JOIN [24, 168, 672] AS length_hours
    )
SELECT metric, counted_at, place.1 AS segment, place.2 AS segment_value, length_hours, edge.1 AS hour, sum(edge.2), 0
FROM (SELECT metric, counted_at, places, length_hours, edge FROM edges ARRAY JOIN [(begins, 1), (begins + length_hours, -1)] AS edge)
ARRAY JOIN arrayPushFront(places, ('', '', true, false)) AS place
GROUP BY metric, counted_at, segment, segment_value, length_hours, hour

-- Sign-ups and activations: a subject is in the windows that hold its moment.
INSERT INTO {steps:Identifier}
WITH
    moments AS
    (
        SELECT concat('activated:', definition) AS metric, level, at FROM {reached:Identifier}
        UNION ALL
        SELECT 'signups' AS metric, level, firsts[{signup:UInt16}] AS at
        FROM {subjects:Identifier}
        WHERE {has_signup:Bool} AND NOT is_internal AND mapContains(firsts, {signup:UInt16})
    ),
    edges AS
    (
        SELECT metric, level, length_hours, intDiv(at + 3599999, 3600000) AS begins
        FROM moments
        ARRAY JOIN [24, 168, 672] AS length_hours
    )
SELECT metric, level, length_hours, edge.1 AS hour, sum(edge.2)
FROM edges
ARRAY JOIN [(begins, 1), (begins + length_hours, -1)] AS edge
GROUP BY metric, level, length_hours, hour

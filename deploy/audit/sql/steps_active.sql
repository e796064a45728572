-- A subject active in an hour is in the windows that end from one hour to a window's length later: a step up where it was
-- in none before, a step down where no later hour keeps it in.
INSERT INTO {steps:Identifier}
WITH
    uses AS
    (
        SELECT
            level AS used_at, id AS user,
            transform(toString(level), ['token', 'developer', 'company'], ['active_tokens', 'active_developers', 'active_companies'], '') AS metric,
            if(level = 'company', 'company', 'developer') AS counted_at, arraySort(groupUniqArray(hour)) AS hours
        FROM {active:Identifier}
        WHERE environment = 'production'
        GROUP BY level, id
    ),
    changes AS
    (
        SELECT
            metric, counted_at, length_hours, places,
            arrayConcat(
                arrayMap(hour -> (hour + 1, 1),
                    arrayFilter((hour, i) -> i = 1 OR hour - hours[i - 1] > length_hours, hours, arrayEnumerate(hours))),
                arrayMap(hour -> (hour + 1 + length_hours, -1),
                    arrayFilter((hour, i) -> i = length(hours) OR hours[i + 1] - hour > length_hours, hours, arrayEnumerate(hours)))
            ) AS edges
        FROM (SELECT * FROM uses ANY LEFT JOIN {counted:Identifier} AS counted ON uses.used_at = counted.level AND uses.user = counted.id)
        ARRAY JOIN [24, 168, 672] AS length_hours
    )
SELECT metric, counted_at, place.1 AS segment, place.2 AS segment_value, length_hours, edge.1 AS at, sum(edge.2 * place.3), sum(place.4)
FROM (SELECT metric, counted_at, length_hours, places, edge FROM changes ARRAY JOIN edges AS edge)
ARRAY JOIN arrayPushFront(places, ('', '', true, false)) AS place
GROUP BY metric, counted_at, segment, segment_value, length_hours, at

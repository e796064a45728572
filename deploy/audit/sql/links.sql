-- Web alias to users: the earliest link of each user and day, as intervals of ownership. The previous id of a merge may be a
-- device's.
INSERT INTO {links:Identifier}
WITH
    by_day AS
    (
        SELECT link.1 AS kind, link.2 AS alias, user_id AS user, min(time) AS at
        FROM {marked:Identifier}
        ARRAY JOIN [('session_token', session_token), ('anonymous_id', anonymous_id), ('anonymous_id', merged_id)] AS link
        WHERE user_id != '' AND link.2 != ''
        GROUP BY kind, alias, user, intDiv(time, 86400000)
    ),
    by_alias AS
    (
        SELECT
            kind, alias, uniqExact(user) > {most_users:UInt32} OR count() > {most_links:UInt32} AS is_crowded,
            arraySort(groupArray({most_links:UInt32})((at, user))) AS ascending,
            -- The first link has the history; of several links at one time the last goes on.
            arrayPushFront(
                arrayFilter((link, i) -> i = length(ascending) OR ascending[i + 1].1 != link.1, ascending, arrayEnumerate(ascending)),
                ascending[1]) AS points,
            arrayFilter((point, i) -> i = 1 OR points[i - 1].2 != point.2, points, arrayEnumerate(points)) AS intervals
        FROM by_day
        GROUP BY kind, alias
    )
SELECT kind, alias, arrayMap(interval -> interval.1, intervals), arrayMap(interval -> interval.2, intervals), is_crowded
FROM by_alias

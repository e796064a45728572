-- User id to developer, and to the last company of all ids that are this developer.
INSERT INTO {members:Identifier}
WITH
    by_user AS
    (
        SELECT user_id, maxIf((time, company_id), company_id != '') AS evidence
        FROM {marked:Identifier}
        WHERE user_id != ''
        GROUP BY user_id
        UNION ALL
        -- A user id that is known by a merge alone.
        SELECT user_id, (toInt64(0), '') AS evidence FROM {merged:Identifier}
    ),
    led AS
    (
        SELECT by_user.user_id AS user, if(merged.developer = '', user, merged.developer) AS developer, evidence
        FROM by_user LEFT JOIN {merged:Identifier} AS merged ON by_user.user_id = merged.user_id
    )
SELECT untuple(arrayJoin(arrayMap(user -> (user, developer, company), users)))
FROM (SELECT developer, groupUniqArray(user) AS users, max(evidence).2 AS company FROM led GROUP BY developer)

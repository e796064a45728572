-- The funnel: how many developers (visitors included) or companies have entered each stage, and how many of those who entered
-- the stage before, or the first one, have. The drop is the finding.
-- level = developer: developer or company
-- stages = visit,docs,signup,key,first_call,activated,paying,advocate: in the order of the funnel
WITH
    splitByChar(',', {stages:String}) AS wanted,
    subjects AS
    (
        SELECT 'developer' AS level, id, stages FROM developers WHERE NOT is_internal AND NOT is_bot
        UNION ALL
        SELECT 'company' AS level, id, stages FROM companies WHERE NOT is_internal
    )
SELECT
    wanted[position] AS stage,
    countIf(mapContains(stages, wanted[position])) AS entered,
    round(100 * countIf(mapContains(stages, wanted[position]) AND mapContains(stages, wanted[position - 1]))
        / nullIf(countIf(mapContains(stages, wanted[position - 1])), 0), 1) AS percent_of_previous,
    round(100 * countIf(mapContains(stages, wanted[position]) AND mapContains(stages, wanted[1]))
        / nullIf(countIf(mapContains(stages, wanted[1])), 0), 1) AS percent_of_first
FROM subjects
ARRAY JOIN arrayEnumerate(wanted) AS position
WHERE level = {level:String}
GROUP BY position
ORDER BY position

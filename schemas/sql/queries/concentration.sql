-- Concentration of production calls: whether one company or app hides a thin base. The Herfindahl index is the sum of squared
-- shares: 1 if one makes all calls, 1/n if n make equally many.
-- days = 28: of the last so many days
-- at = : as of this time, UTC; empty for the latest event
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    calls AS
    (
        SELECT company_id, api_key
        FROM events_resolved
        WHERE source = 'api' AND type = 'event' AND environment = 'production' AND api_key != '' AND NOT is_internal AND NOT is_bot
            AND time <= as_of AND time > as_of - toIntervalDay({days:UInt16})
            AND developer_id NOT IN (SELECT id FROM developers WHERE is_internal)
            AND company_id NOT IN (SELECT id FROM companies WHERE is_internal)
    ),
    counted AS
    (
        SELECT 'company' AS by, company_id AS subject, count() AS calls FROM calls WHERE company_id != '' GROUP BY subject
        UNION ALL
        SELECT 'token' AS by, api_key AS subject, count() AS calls FROM calls GROUP BY subject
    )
SELECT
    by,
    count() AS subjects,
    sum(counted.calls) AS total_calls,
    argMax(subject, (counted.calls, subject)) AS largest,
    round(100 * max(counted.calls) / total_calls, 1) AS largest_percent,
    round(sum(pow(counted.calls, 2)) / pow(total_calls, 2), 4) AS herfindahl,
    arrayFirstIndex(reached -> reached * 2 >= total_calls, arrayCumSum(arrayReverseSort(groupArray(counted.calls)))) AS subjects_with_half_of_calls
FROM counted
GROUP BY by
ORDER BY by

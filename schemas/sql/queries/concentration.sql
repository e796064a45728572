-- Concentration of production calls: whether one company or app hides a thin base. The Herfindahl index is the sum of squared
-- shares: 1 if one makes all calls, 1/n if n make equally many.
-- days = 28: of so many UTC days
-- at = : of which this is the last one, UTC; empty for that of the latest event
WITH
    toDate(coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers))) AS last_day,
    calls AS
    (
        SELECT company_id, api_key, sum(events) AS calls
        FROM usage_resolved
        WHERE source = 'api' AND type = 'event' AND environment = 'production' AND api_key != '' AND NOT is_internal AND NOT is_bot
            AND day <= last_day AND day > last_day - {days:UInt16}
            AND developer_id NOT IN (SELECT id FROM developers WHERE is_internal)
            AND company_id NOT IN (SELECT id FROM companies WHERE is_internal)
        GROUP BY company_id, api_key
    ),
    counted AS
    (
        SELECT side.1 AS by, side.2 AS subject, sum(calls.calls) AS calls
        FROM calls
        ARRAY JOIN [('company', company_id), ('token', api_key)] AS side
        WHERE subject != ''
        GROUP BY by, subject
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

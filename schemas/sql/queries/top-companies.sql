-- The companies with the most production calls, with their errors, and how many developers and client libraries they use.
-- days = 28: of so many UTC days
-- at = : of which this is the last one, UTC; empty for that of the latest event
-- limit = 15: how many rows
WITH
    toDate(coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers))) AS last_day
SELECT
    company_id AS company,
    sum(events) AS calls,
    round(100 * (sum(client_errors) + sum(server_errors)) / calls, 2) AS errors_percent,
    uniqExactIf(developer_id, NOT startsWith(developer_id, 'api_key:')) AS developers,
    arraySort(groupUniqArrayIf(sdk, sdk != '')) AS sdks
FROM usage_resolved
WHERE source = 'api' AND type = 'event' AND environment = 'production' AND company_id != '' AND NOT is_internal AND NOT is_bot
    AND day <= last_day AND day > last_day - {days:UInt16}
GROUP BY company
ORDER BY calls DESC, company
LIMIT {limit:UInt32}

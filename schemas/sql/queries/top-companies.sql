-- title: The companies with the most production calls
-- description: With their share, errors, and how many developers, tokens and client libraries they use.
-- topic: usage
-- parameters:
--   from: {type: Time, meaning: of UTC days that begin at this time or later; empty for 28 days before `to`}
--   to: {type: Time, meaning: 'and before this time; empty for the day of the latest event, that one included'}
--   limit: {type: UInt32, default: 15, meaning: how many rows}
-- chart: {kind: bar, label: company, numbers: [calls]}
-- columns:
--   company: its id
--   calls: 'production calls: events of the API with a key'
--   calls_percent: of the calls of all companies
--   errors_percent: both kinds of errors among the calls
--   developers: distinct, those known by more than their key
--   tokens: distinct API keys
--   sdks: client libraries
WITH
    ifNull(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC') - toIntervalMillisecond(1), (SELECT max(last_active) FROM developers)) AS until,
    toInt32(toUInt16(toDate(ifNull(until, toDateTime64(0, 3, 'UTC'))))) AS last,
    ifNull(intDiv(toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC')) + 86399999, 86400000), last - 27) AS first
SELECT
    company_id AS company,
    sum(events) AS calls,
    round(100 * calls / sum(calls) OVER (), 1) AS calls_percent,
    round(100 * (sum(client_errors) + sum(server_errors)) / calls, 2) AS errors_percent,
    uniqExactIf(developer_hash, is_known) AS developers,
    uniqExact(token_hash) AS tokens,
    arraySort(groupUniqArrayIf(toString(sdk), sdk != '')) AS sdks
FROM api_usage
WHERE source = 'api' AND type = 'event' AND environment = 'production' AND company_id != '' AND NOT is_bot
    AND day >= toDate(greatest(0, first)) AND day <= toDate(last)
    AND developer_hash NOT IN (SELECT cityHash64(id) FROM developers WHERE is_internal)
    AND company_id NOT IN (SELECT id FROM companies WHERE is_internal)
GROUP BY company
ORDER BY calls DESC, company
LIMIT {limit:UInt32}

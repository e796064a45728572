-- title: API use by day
-- description: >-
--   Calls, errors by class, mean latency (from sums, so no percentiles), active developers and tokens. Of all, or of
--   one company or developer. A day without calls is shown too.
-- topic: accounts
-- parameters:
--   company: {names: companies, meaning: company id; empty for all}
--   developer: {names: developers, meaning: 'developer id, as in developers.id; empty for all'}
--   environment: {values: [production, test, development], default: production}
--   from: {type: Time, meaning: 'days that begin at this time or later, UTC; empty for 30 days before `to`'}
--   to:
--     type: Time
--     meaning: days that begin before this time; empty for the day of the latest event, that one included
-- chart: {kind: line, label: day, numbers: [calls]}
-- columns:
--   day: UTC day
--   calls: events of the API with a key, of the environment asked for; calls without a key are in `usage_resolved`
--   client_errors: with a status of 400 to 499
--   server_errors: with a status of 500 to 599
--   errors_percent: both kinds of errors among the calls
--   mean_latency_ms: of the calls with a latency
--   developers: distinct, those known by more than their key
--   tokens: distinct API keys
--   sdks: client libraries
WITH
    ifNull(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC') - toIntervalMillisecond(1), (SELECT max(last_active) FROM developers)) AS until,
    toInt32(toUInt16(toDate(ifNull(until, toDateTime64(0, 3, 'UTC'))))) AS last,
    ifNull(intDiv(toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC')) + 86399999, 86400000), last - 29) AS first,
    {company:String} = '' AND {developer:String} = '' AS is_of_all,
    -- The aliases that may have counts of whom is asked for, so that only these are joined with their owners.
    aliases AS (SELECT alias_hash FROM aliases_of(company = {company:String}, developer = {developer:String})),
    counted AS
    (
        SELECT
            day, sum(events) AS calls, sum(client_errors) AS client_errors, sum(server_errors) AS server_errors,
            sum(latency_ms) / nullIf(sum(latency_events), 0) AS mean_latency_ms,
            uniqExactIf(developer_hash, is_known) AS developers,
            uniqExact(token_hash) AS tokens,
            arraySort(groupUniqArrayIf(toString(sdk), sdk != '')) AS sdks
        FROM api_usage
        WHERE source = 'api' AND type = 'event' AND environment = {environment:String} AND NOT is_bot
            AND day >= toDate(greatest(0, first)) AND day <= toDate(last)
            AND (is_of_all OR alias_hash IN (SELECT alias_hash FROM aliases))
            AND ({company:String} = '' OR company_id = {company:String})
            AND ({developer:String} = '' OR developer_id = {developer:String})
            AND developer_hash NOT IN (SELECT cityHash64(id) FROM developers WHERE is_internal)
            AND {company:String} NOT IN (SELECT id FROM companies WHERE is_internal)
        GROUP BY day
    )
SELECT
    days.day AS day, calls, client_errors, server_errors,
    round(100 * (client_errors + server_errors) / nullIf(calls, 0), 2) AS errors_percent,
    round(mean_latency_ms, 1) AS mean_latency_ms,
    developers, tokens, sdks
FROM (SELECT toDate(arrayJoin(if(isNull(until), [], range(toUInt32(greatest(0, first)), toUInt32(last + 1))))) AS day) AS days
LEFT JOIN counted ON days.day = counted.day
ORDER BY day

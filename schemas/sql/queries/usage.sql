-- API use by day: calls, errors, mean latency, active developers and tokens. Of all, or of one company or developer.
-- company = : company id; empty for all
-- developer = : developer id, as in developers.id; empty for all
-- days = 30: of so many UTC days
-- at = : of which this is the last one, UTC; empty for that of the latest event
WITH
    toDate(coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers))) AS last_day
SELECT
    day,
    sum(events) AS calls,
    sum(client_errors) + sum(server_errors) AS errors,
    round(100 * errors / calls, 2) AS errors_percent,
    round(sum(latency_ms) / nullIf(sum(latency_events), 0), 1) AS mean_latency_ms,
    uniqExactIf(developer_id, NOT startsWith(developer_id, 'api_key:')) AS developers,
    uniqExact(api_key) AS tokens
FROM usage_resolved
WHERE source = 'api' AND type = 'event' AND api_key != '' AND NOT is_internal AND NOT is_bot
    AND day <= last_day AND day > last_day - {days:UInt16}
    AND ({company:String} = '' OR company_id = {company:String})
    AND ({developer:String} = '' OR developer_id = {developer:String})
GROUP BY day
ORDER BY day

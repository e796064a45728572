-- title: One developer's or company's events in their order, whatever alias an event carried
-- topic: accounts
-- any_of: [developer, company]
-- parameters:
--   developer: {names: developers, meaning: 'developer id, as in developers.id'}
--   company: {names: companies, meaning: 'company id, as in companies.id'}
--   from: {type: Time, meaning: 'from this time on, UTC; empty for the beginning'}
--   to: {type: Time, meaning: 'up to this time, not included; empty for the end'}
--   limit: {type: UInt32, default: 100, meaning: how many events}
-- columns:
--   time: of the event, UTC
--   source: web or api
--   name: what happened
--   path: page or API route
--   status: HTTP status of a call
--   developer: whose it is by all that is known now
--   company: likewise
--   alias_kind: the strongest identifier that it carries
--   environment: production, test or development
WITH
    coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1970-01-01 00:00:00', 3, 'UTC')) AS since,
    coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01 00:00:00', 3, 'UTC')) AS until,
    -- Where a company's first seven days have as many events as are asked for, nothing later is read: a large one's lie everywhere.
    ifNull((SELECT greatest(since, first_seen) FROM companies WHERE id = {company:String}), since) + INTERVAL 7 DAY AS probed,
    (
        SELECT count() FROM company_journey(company = {company:String})
        WHERE {developer:String} = '' AND time >= since AND time < least(until, probed)
    ) >= {limit:UInt32} AS is_enough,
    if(is_enough, least(until, probed), until) AS company_until
SELECT time, source, name, path, status, developer_id AS developer, company_id AS company, alias_kind, environment
FROM
(
    SELECT * FROM journey(developer = {developer:String}) WHERE {developer:String} != '' AND time >= since AND time < until
    UNION ALL
    SELECT * FROM company_journey(company = {company:String})
    WHERE {developer:String} = '' AND {company:String} != '' AND time >= since AND time < company_until
)
WHERE {company:String} = '' OR company_id = {company:String}
ORDER BY time, name, message_id
LIMIT {limit:UInt32}

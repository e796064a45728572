-- title: One company or developer at a glance, for the page of a CRM
-- description: >-
--   How far it has come, what it uses and how that goes, whether it is at risk. Counts are of production calls in 28
--   UTC days; the query usage has them day by day.
-- topic: accounts
-- one_of: [company, developer]
-- parameters:
--   company: {names: companies, meaning: 'company id, as in companies.id'}
--   developer: {names: developers, meaning: 'developer id, as in developers.id'}
--   at: {type: Time, meaning: 'of which the last one is the day of this time, UTC; empty for that of the latest event'}
-- columns:
--   level: developer or company
--   id: of the company or developer
--   company: its id; of a developer the last it was linked to
--   first_seen: its first event, UTC
--   stage: the furthest of the funnel that it entered
--   stage_entered_at: when, UTC
--   activations: definitions that it reached
--   churn_risks: definitions by which it is at risk
--   power_user: definitions by which it is one
--   calls: 'production calls of the 28 days: events of the API with a key'
--   calls_before: of the 28 days before these
--   client_errors: with a status of 400 to 499
--   server_errors: with a status of 500 to 599
--   errors_percent: both kinds of errors among the calls
--   mean_latency_ms: of the calls with a latency
--   developers: distinct, those known by more than their key
--   tokens: distinct API keys
--   sdks: client libraries
WITH
    ifNull(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    toDate(ifNull(as_of, toDateTime64(0, 3, 'UTC'))) AS last_day,
    if({developer:String} != '', 'developer', 'company') AS asked_level,
    if({developer:String} != '', {developer:String}, {company:String}) AS asked,
    aliases AS (SELECT alias_hash FROM aliases_of(company = if({developer:String} != '', '', {company:String}), developer = {developer:String})),
    used AS
    (
        SELECT
            sumIf(events, is_recent) AS calls,
            sumIf(events, NOT is_recent) AS calls_before,
            sumIf(client_errors, is_recent) AS client_errors,
            sumIf(server_errors, is_recent) AS server_errors,
            sumIf(latency_ms, is_recent) / nullIf(sumIf(latency_events, is_recent), 0) AS mean_latency_ms,
            uniqExactIf(developer_hash, is_recent AND is_known) AS developers,
            uniqExactIf(token_hash, is_recent) AS tokens,
            arraySort(groupUniqArrayIf(toString(sdk), is_recent AND sdk != '')) AS sdks
        FROM (SELECT *, day > last_day - 28 AS is_recent FROM api_usage) AS counts
        WHERE source = 'api' AND type = 'event' AND environment = 'production' AND NOT is_bot
            AND day <= last_day AND day > last_day - 56
            AND alias_hash IN (SELECT alias_hash FROM aliases)
            AND if(asked_level = 'company', company_id, developer_id) = asked
            AND developer_hash NOT IN (SELECT cityHash64(id) FROM developers WHERE is_internal)
    )
SELECT
    level, id, if(level = 'company', id, company_id) AS company,
    first_seen,
    arrayFilter(name -> mapContains(stages, name) AND stages[name] <= as_of,
        (SELECT groupArray(name) FROM (SELECT name FROM definitions WHERE section = 'stages' ORDER BY position)))[-1] AS stage,
    if(stage = '', NULL, stages[stage]) AS stage_entered_at,
    arraySort(mapKeys(mapFilter((name, reached) -> reached <= as_of, activations))) AS activations,
    (SELECT arraySort(groupArray(definition)) FROM churn_risks_at(at = {at:String}) WHERE level = asked_level AND subject_id = asked) AS churn_risks,
    (SELECT arraySort(groupArray(definition)) FROM power_users_at(at = {at:String}) WHERE level = asked_level AND subject_id = asked) AS power_user,
    calls, calls_before, client_errors, server_errors,
    round(100 * (client_errors + server_errors) / nullIf(calls, 0), 2) AS errors_percent,
    round(mean_latency_ms, 1) AS mean_latency_ms,
    developers, tokens, sdks
FROM profile_rows FINAL
CROSS JOIN used
WHERE level = asked_level AND id = asked AND NOT is_internal AND NOT is_bot

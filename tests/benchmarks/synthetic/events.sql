-- Events of a synthetic population, as the sink would write them: rows `first` to `first + rows` of `total`, in the order of
-- their times over 90 days. 84 % are calls on 80,000 keys, 14 % pages of 600,000 browsers that come and go, 2 % of users.
-- Keys and companies are used by a power law; one event in 500 comes twice, most of these at another time.
INSERT INTO event_rows
    (message_id, time, received_at, source, type, name, anonymous_id, session_token, api_key, user_id, company_id, previous_id,
    environment, properties, context, traits, is_internal, is_bot, is_use)
WITH
    toUInt64(number - (number % 500 = 499)) AS event,
    sipHash64(event, 1) AS dice,
    (sipHash64(event, 2) % 1000003) / 1000003 AS luck,
    event / {total:UInt64} AS elapsed,
    multiIf(dice % 100 < 84, 'api', dice % 100 < 98, 'web', 'user') AS kind,
    -- A key is followed by another one after a month; 20,000 are in use at a time.
    toUInt32(20000 * pow(luck, 4)) AS place,
    place + 20000 * toUInt32(3 * elapsed + (sipHash64(place) % 1000) / 1000) AS key,
    toUInt32(540000 * elapsed + 60000 * luck * luck) AS browser,
    if(kind = 'api', key, toUInt32(sipHash64(event, 3))) % 100000 AS user,
    toString(dice % 200) AS page,
    ['python', 'node', 'ruby', 'go', 'java'][1 + key % 5] AS sdk,
    toInt64(1767225600000 + 90 * 86400000 * elapsed) + toInt64(sipHash64(event, 4) % 3600000) AS happened
SELECT
    concat('847f19b5-', leftPad(lower(hex(event)), 16, '0')) AS message_id,
    if(number = event, happened, happened + toInt64(dice % 3 * 3600000 * 5)) AS time,
    time + 200 AS received_at,
    if(kind = 'web', 'web', 'api') AS source,
    'event' AS type,
    multiIf(kind = 'web', 'Page Viewed', kind = 'user', ['Signed Up', 'API Key Created', 'Page Viewed'][1 + dice % 3], dice % 7 = 0, 'Message Sent', 'API Call') AS name,
    if(kind = 'web', concat('a', lower(hex(sipHash128(browser)))), '') AS anonymous_id,
    '' AS session_token,
    if(kind = 'api', lower(hex(sipHash128('key', key))), '') AS api_key,
    if(kind = 'user', concat('usr_', toString(user)), '') AS user_id,
    if(kind = 'api' AND key % 10 = 0, concat('company-', toString(toUInt32(10000 * pow((sipHash64(user, 5) % 1000003) / 1000003, 2)))), '') AS company_id,
    '' AS previous_id,
    if(kind = 'api' AND key % 4 = 0, 'test', 'production') AS environment,
    multiIf(
        kind = 'api',
        concat('{"latency_ms":', toString(10 + sipHash64(event, 6) % 90), ',"method":"POST","path":"/v1/',
            ['messages', 'channels', 'users', 'presence', 'history'][1 + dice % 5],
            '","status":', toString([200, 200, 200, 200, 200, 200, 200, 202, 201, 404, 429, 500][1 + sipHash64(event, 7) % 12]), '}'),
        kind = 'web',
concat('{"path":"/docs/', page, '","title":"Documentation","url":"https://www.firstcall.example/docs/', page, '"}'),
        '{}') AS properties,
    multiIf(
        kind = 'api', concat('{"country":"DE","ip":"198.18.', toString(key % 250), '.', toString(dice % 250), '","sdk":"', sdk,
            '","user_agent":"firstcall-', sdk, '/1.2.', toString(key % 9), ' (3.3)"}'),
        kind = 'web', '{"ip":"198.19.21.41","locale":"pt-BR","user_agent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/136.0.0.0 Safari/537.36"}',
        '{}') AS context,
    '{}' AS traits,
    kind = 'api' AND key = 77 AS is_internal,
    kind = 'web' AND browser % 50 = 0 AS is_bot,
    kind = 'api' AS is_use
FROM numbers({first:UInt64}, {rows:UInt64})

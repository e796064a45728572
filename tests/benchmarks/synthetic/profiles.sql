-- The profiles of the synthetic population: 98,000 users, 400,000 visitors and 10,000 companies.
INSERT INTO profile_rows
    (level, id, kind, company_id, first_seen, last_active, stages, activation_anchors, activations, first_touch_at, first_touch, segments,
    is_internal, is_bot, version, is_deleted)
WITH
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + toIntervalSecond(sipHash64(number) % (85 * 86400)) AS seen,
    user -> if(user % 5 = 4, '', concat('company-', toString(toUInt32(10000 * pow((sipHash64(user, 5) % 1000003) / 1000003, 2))))) AS company_of,
    ['visit', 'docs', 'signup', 'key', 'first_call', 'activated', 'paying', 'advocate'] AS names,
    depth -> CAST(
        arrayMap(place -> (names[place], seen + toIntervalMinute(place * 37)), range(1, toUInt8(depth + 1))), 'Map(LowCardinality(String), DateTime64(3, \'UTC\'))')
        AS stages_to,
    map('campaign', concat('campaign-', toString(number % 40)), 'referrer', '', 'path', '/docs', 'name', 'Page Viewed') AS touch,
    map('technology', ['python', 'node', 'go', 'java', 'ruby', 'php'][1 + sipHash64(number, 'technology') % 6], 'plan', ['free', 'team'][1 + number % 2]) AS segments
SELECT 'developer', concat('usr_', toString(number)), 'user', company_of(toUInt32(number)), seen, seen + toIntervalDay(3),
    stages_to(3 + number % 6), map('three_days', seen, 'first_call', seen),
    if(number % 3 = 0, map('three_days', seen + toIntervalDay(2), 'first_call', seen + toIntervalMinute(185)), map()),
    seen, touch, segments, number = 77, false, 1, 0
FROM numbers(100000) WHERE number % 50 != 1
UNION ALL
SELECT 'developer', concat('anonymous_id:a', lower(hex(sipHash128(toUInt32(number))))), 'visitor', '', seen, seen + toIntervalDay(1),
    stages_to(1 + number % 2), map(), map(), seen, touch, segments, false, number % 50 = 0, 1, 0
FROM numbers(600000) WHERE number % 3 != 0
UNION ALL
SELECT 'company', concat('company-', toString(number)), 'company', '', seen, seen + toIntervalDay(3),
    stages_to(3 + number % 6), map('messages', seen, 'first_call', seen),
    if(number % 4 = 0, map('messages', seen + toIntervalDay(2), 'first_call', seen + toIntervalMinute(185)), map()),
    seen, touch, segments, false, false, 1, 0
FROM numbers(10000)

-- The identities of the synthetic population: 100,000 users, one in 50 merged into another, four in five of a company; keys of
-- nearly all users; a third of the browsers known, one in 20 of these shared by two users.
INSERT INTO identity_rows
    (alias_kind, alias, developer_ids, developer_from, company_id, company_from, version, is_deleted)
WITH
    toDateTime64(0, 3, 'UTC') AS always,
    user -> if(user % 5 = 4, '', concat('company-', toString(toUInt32(10000 * pow((sipHash64(user, 5) % 1000003) / 1000003, 2))))) AS company_of
SELECT 'user_id', concat('usr_', toString(number)), if(number % 50 = 1, [concat('usr_', toString(number - 1))], []), if(number % 50 = 1, [always], []),
    if(number % 50 = 1, '', company_of(toUInt32(number))), always, 1, 0
FROM numbers(100000) WHERE number % 50 = 1 OR number % 5 != 4
UNION ALL
SELECT 'api_key', lower(hex(sipHash128('key', number))), if(number % 20 = 3, [], [concat('usr_', toString(number % 100000))]), if(number % 20 = 3, [], [always]),
    if(number % 3 = 0, company_of(toUInt32(number % 100000)), ''), always, 1, 0
FROM numbers(80000)
UNION ALL
SELECT 'anonymous_id', concat('a', lower(hex(sipHash128(toUInt32(number))))),
    if(number % 60 = 0, [concat('usr_', toString(number % 100000)), concat('usr_', toString((number + 7) % 100000))], [concat('usr_', toString(number % 100000))]),
    if(number % 60 = 0, [toDateTime64('2026-02-01', 3, 'UTC'), toDateTime64('2026-02-20', 3, 'UTC')], [always]),
    '', always, 1, 0
FROM numbers(600000) WHERE number % 3 = 0

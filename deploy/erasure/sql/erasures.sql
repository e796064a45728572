-- Erasures, the latest last; one that is not completed has the time of its first request.
SELECT subject, level, toUnixTimestamp64Milli(asked_at) AS asked_at, ifNull(toUnixTimestamp64Milli(completed_at), 0) AS completed_at,
    events, users, aliases, keys
FROM erasures
ORDER BY asked_at

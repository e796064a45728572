-- Rolling counts of 90 days by hour: 7 series of 3 windows, each told by 12 scopes.
INSERT INTO rolling_rows (scope, metric, level, window_hours, hour, delta, version)
SELECT
    concat('scope-', toString(scope)), series.1, series.2, window_hours,
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + toIntervalHour(number) + toIntervalHour(falls * window_hours),
    if(falls, -1, 1) * toInt64(1 + sipHash64(number, scope, series) % 20), 1
FROM numbers(90 * 24)
ARRAY JOIN range(12) AS scope
ARRAY JOIN
    [('active_tokens', 'developer'), ('active_developers', 'developer'), ('active_companies', 'company'), ('signups', 'developer'),
    ('signups', 'company'), ('activated:three_days', 'developer'), ('activated:messages', 'company')] AS series
ARRAY JOIN [24, 168, 672] AS window_hours
ARRAY JOIN [false, true] AS falls

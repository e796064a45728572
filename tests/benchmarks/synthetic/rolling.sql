-- Rolling counts of 90 days by hour, each for 12 scopes, of all and by technology: active tokens, developers and companies, which
-- come into each of 3 windows and fall out again, and the moments of sign-ups and activations, which are kept once for all windows.
INSERT INTO rolling_rows (scope, metric, level, segment, segment_value, window_hours, hour, delta, version)
WITH
    [('active_tokens', 'developer'), ('active_developers', 'developer'), ('active_companies', 'company')] AS active,
    [('signups', 'developer'), ('signups', 'company'), ('activated:three_days', 'developer'), ('activated:first_call', 'developer'),
    ('activated:first_call', 'company'), ('activated:messages', 'company'), ('matured:three_days', 'developer'),
    ('matured_activated:three_days', 'developer'), ('matured:first_call', 'developer'), ('matured_activated:first_call', 'developer')] AS moments
SELECT
    concat('scope-', toString(scope)), series.1, series.2, of_segment.1, of_segment.2, in_window.1,
    toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + toIntervalHour(number) + toIntervalHour(in_window.2),
    in_window.3 * toInt64(1 + sipHash64(number, scope, series, of_segment) % 20), 1
FROM numbers(90 * 24)
ARRAY JOIN range(12) AS scope
ARRAY JOIN [('', ''), ('technology', 'python'), ('technology', 'node'), ('technology', 'go'), ('technology', 'java'), ('technology', 'ruby'), ('technology', 'php')] AS of_segment
ARRAY JOIN arrayConcat(active, moments) AS series
ARRAY JOIN if(has(moments, series), [(0, 0, 1)], [(24, 0, 1), (24, 24, -1), (168, 0, 1), (168, 168, -1), (672, 0, 1), (672, 672, -1)]) AS in_window
WHERE of_segment.1 = '' OR sipHash64(number, scope, of_segment) % 2 = 0

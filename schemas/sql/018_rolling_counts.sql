-- Grain: one row an hour for each metric, level and window, from the first hour at which the count changes to the last one,
--   with none left out. The changes reach into the future: what falls out of a window is known when it comes in. Hours that
--   have not begun are not shown, unless events are later still (a clock that is behind, a simulation): then the series end
--   with the last rise of any of them. History that was replayed ends in the fall that follows when nobody came any more.
-- Key: (metric, level, window_hours, hour).
-- Engine: a view over rolling_rows with FINAL. A count is the sum of all changes up to its hour, over all scopes; each sum is
--   then repeated for the hours until the next change.
CREATE OR REPLACE VIEW rolling_counts /* ON CLUSTER */
(
    hour DateTime64(3, 'UTC') COMMENT 'End of the window, which includes it: (hour - window_hours, hour]',
    window_hours UInt16 COMMENT 'Length of the window: 24, 168 or 672',
    metric LowCardinality(String) COMMENT 'active_tokens, active_developers, active_companies, signups or activated:<definition>',
    level LowCardinality(String) COMMENT 'developer or company: what is counted (tokens: developer)',
    value Int64 COMMENT 'Distinct subjects in the window'
)
COMMENT 'Active tokens, developers and companies, sign-ups and activations in trailing windows, hour by hour'
AS
WITH
    greatest(
        toUnixTimestamp(toStartOfHour(now('UTC'))) + 3600,
        (SELECT toUnixTimestamp(max(hour)) FROM rolling_rows FINAL WHERE delta > 0)) AS last_hour,
    changes AS
    (
        SELECT metric, level, window_hours, toUnixTimestamp(hour) AS at, sum(delta) AS change
        FROM rolling_rows FINAL
        GROUP BY metric, level, window_hours, at
        HAVING change != 0
    ),
    counts AS
    (
        SELECT
            metric, level, window_hours, at,
            sum(change) OVER (series ORDER BY at ROWS UNBOUNDED PRECEDING) AS value,
            leadInFrame(at, 1, toUInt32(at + 3600)) OVER (series ORDER BY at ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS next_at
        FROM changes
        WINDOW series AS (PARTITION BY metric, level, window_hours)
    )
SELECT toDateTime64(each_at, 3, 'UTC') AS hour, window_hours, metric, level, value
FROM counts
ARRAY JOIN range(at, least(next_at, toUInt32(last_hour + 3600)), 3600) AS each_at;

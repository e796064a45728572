-- Grain: one row an hour for each metric, level, segment, value of it and window, from the first hour at which the count changes
--   to the last one, with none left out. The changes reach into the future: what falls out of a window is known when it comes in. Hours that
--   have not begun are not shown, unless events are later still (a clock that is behind, a simulation): then the series end
--   with the last rise of any of them. History that was replayed ends in the fall that follows when nobody came any more.
-- Key: (metric, level, segment, segment_value, window_hours, hour). Sum over no segment: a subject may count in several.
--   matured:<definition> counts those whose span was over in the window, matured_activated:<definition> those of them that had
--   activated by then: their ratio is the activation rate of the matured cohort.
-- Engine: a view over rolling_changes. A count is the sum of all changes up to its hour; each sum is then repeated for the hours
--   until the next change.
CREATE OR REPLACE VIEW rolling_counts /* ON CLUSTER */
(
    hour DateTime64(3, 'UTC') COMMENT 'End of the window, which includes it: (hour - window_hours, hour]',
    window_hours UInt16 COMMENT 'Length of the window: 24, 168 or 672',
    metric LowCardinality(String)
        COMMENT 'active_tokens, active_developers, active_companies, signups, activated:<definition>, matured:<definition> or matured_activated:<definition>',
    level LowCardinality(String) COMMENT 'developer or company: what is counted (tokens: developer)',
    segment LowCardinality(String) COMMENT 'Configured segment, as technology; empty: all subjects',
    segment_value LowCardinality(String) COMMENT 'Value of the segment; other: those that the configuration does not name',
    value Int64 COMMENT 'Distinct subjects in the window'
)
COMMENT 'Active tokens, developers and companies, sign-ups and activations in trailing windows, hour by hour'
AS
WITH
    greatest(
        toUnixTimestamp(toStartOfHour(now('UTC'))) + 3600,
        (SELECT toUnixTimestamp(max(hour)) FROM rolling_rows FINAL WHERE delta > 0 AND metric NOT LIKE 'matured%')) AS last_hour,
    counts AS
    (
        SELECT
            metric, level, segment, segment_value, window_hours, toUnixTimestamp(hour) AS at,
            sum(change) OVER (series ORDER BY at ROWS UNBOUNDED PRECEDING) AS value,
            leadInFrame(at, 1, toUInt32(at + 3600)) OVER (series ORDER BY at ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS next_at
        FROM rolling_changes
        WINDOW series AS (PARTITION BY metric, level, segment, segment_value, window_hours)
    )
SELECT toDateTime64(each_at, 3, 'UTC') AS hour, window_hours, metric, level, segment, segment_value, value
FROM counts
ARRAY JOIN range(at, least(next_at, toUInt32(last_hour + 3600)), 3600) AS each_at;

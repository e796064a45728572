-- Grain: one row for each hour at which a rolling count changes.
-- Key: (metric, level, segment, segment_value, window_hours, hour). Changes reach into the future: when something falls out of a
--   window is known when it comes in.
-- Engine: a view over rolling_rows with FINAL, adding up the scopes. What is a moment of a subject (a sign-up, an activation) is
--   kept once for all windows, and is here in each: it comes in at its hour and falls out a window's length later.
CREATE OR REPLACE VIEW rolling_changes /* ON CLUSTER */
(
    metric LowCardinality(String)
        COMMENT 'active_tokens, active_developers, active_companies, signups, activated:<definition>, matured:<definition> or matured_activated:<definition>',
    level LowCardinality(String) COMMENT 'developer or company: what is counted (tokens: developer)',
    segment LowCardinality(String) COMMENT 'Configured segment, as technology; empty: all subjects',
    segment_value LowCardinality(String) COMMENT 'Value of the segment; other: those that the configuration does not name',
    window_hours UInt16 COMMENT 'Length of the trailing window: 24, 168 or 672',
    hour DateTime64(3, 'UTC') COMMENT 'End of the first window that counts the change',
    change Int64 COMMENT 'Subjects that the window counts from this hour on, less those it counts no more'
)
COMMENT 'By how much each rolling count changes, and when'
AS SELECT metric, level, segment, segment_value, edge.1 AS window_hours, rolling_rows.hour + toIntervalHour(edge.2) AS hour, sum(delta * edge.3) AS change
FROM rolling_rows FINAL
ARRAY JOIN if(
    rolling_rows.window_hours = 0,
    [(toUInt16(24), 0, 1), (24, 24, -1), (168, 0, 1), (168, 168, -1), (672, 0, 1), (672, 672, -1)],
    [(rolling_rows.window_hours, 0, 1)]) AS edge
GROUP BY metric, level, segment, segment_value, window_hours, hour
HAVING change != 0;

-- Grain: one row an hour for each series of rolling_counts over a week, all subjects together (segment = '') or one value of
--   a segment: what it counts now, and what it counted a week before.
-- Key: (metric, level, segment, segment_value, hour).
-- Engine: a view over rolling_counts. Ask for one metric and level: then only its series is laid out.
-- Rules: the two weeks do not overlap: (hour - 168, hour] and (hour - 336, hour - 168]. Before a series began it was 0, and from
--   0 there is no growth.
CREATE OR REPLACE VIEW growth /* ON CLUSTER */
(
    hour DateTime64(3, 'UTC') COMMENT 'End of the later week, which includes it',
    metric LowCardinality(String) COMMENT 'active_tokens, active_developers, active_companies, signups, activated:<definition>, ... as in rolling_counts',
    level LowCardinality(String) COMMENT 'developer or company: what is counted (tokens: developer)',
    segment LowCardinality(String) COMMENT 'Name of the segment, empty for all subjects',
    segment_value String COMMENT 'Value of the segment, empty for all subjects',
    value Int64 COMMENT 'Distinct subjects in the week that ends at the hour',
    week_before Int64 COMMENT 'The same in the week before',
    growth_percent Nullable(Float64) COMMENT '100 * (value / week_before - 1), NULL if week_before is 0'
)
COMMENT 'Growth week over week of active tokens, developers and companies, sign-ups and activations'
AS SELECT
    hour, metric, level, segment, segment_value, value, week_before,
    100 * (value / nullIf(week_before, 0) - 1) AS growth_percent
FROM
(
    SELECT
        hour, metric, level, segment, segment_value, value,
        -- No hour is left out of a series, so a week before is 168 rows before.
        lagInFrame(value, 168, toInt64(0)) OVER (
            PARTITION BY metric, level, segment, segment_value ORDER BY hour ROWS BETWEEN 168 PRECEDING AND CURRENT ROW) AS week_before
    FROM rolling_counts
    WHERE window_hours = 168
);

-- Grain: one row for each state of one scope's change of one metric at one hour. The view `rolling_counts` adds them up.
-- Key: (metric, level, segment, segment_value, window_hours, hour, scope): a series lies together, in the order of its hours.
-- Engine: ReplacingMergeTree. A scope (a part of the subjects that one worker counts) publishes its change again when it
--   differs, with a higher version; no change any more is delta = 0.
CREATE TABLE IF NOT EXISTS rolling_rows /* ON CLUSTER */
(
    scope LowCardinality(String) COMMENT 'The part of all subjects that is counted here; scopes do not overlap',
    metric LowCardinality(String)
        COMMENT 'active_tokens, active_developers, active_companies, signups, activated:<definition>, matured:<definition> or matured_activated:<definition>',
    level LowCardinality(String) COMMENT 'developer or company',
    segment LowCardinality(String) COMMENT 'Configured segment by which subjects are compared, empty for all subjects',
    segment_value LowCardinality(String) COMMENT 'Its value, other for those that the configuration does not name',
    window_hours UInt16 COMMENT 'Length of the trailing window; 0: a moment, which counts in every window that holds it',
    hour DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'End of the window from which on the change holds',
    delta Int64 COMMENT 'Subjects that the window counts from this hour on, less those it counts no more',
    version UInt64 COMMENT 'Grows with each change of the row',
    -- What else is written to the topic by mistake is refused.
    CONSTRAINT is_a_row CHECK scope != '' AND metric != '' AND level != ''
)
ENGINE = /* Replicated */ReplacingMergeTree(version)
ORDER BY (metric, level, segment, segment_value, window_hours, hour, scope)
COMMENT 'Changes of the rolling counts, with outdated states; read the view rolling_counts';

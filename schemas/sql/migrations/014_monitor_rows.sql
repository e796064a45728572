-- Grain: one row for each state of a monitor. The view `monitors` shows the current one.
-- Key: monitor.
-- Engine: ReplacingMergeTree. A monitor is written again with each hour that it has evaluated.
CREATE TABLE IF NOT EXISTS monitor_rows /* ON CLUSTER */
(
    monitor LowCardinality(String) COMMENT 'Name in the configuration',
    kind LowCardinality(String) COMMENT 'activations, conversion, active_tokens, time_to_first_call or silence',
    evaluated_at DateTime64(3, 'UTC') COMMENT 'End of the last hour it has evaluated',
    condition LowCardinality(String) COMMENT 'learning: too few past weeks; quiet; dropped: an alert holds',
    weeks Float64 COMMENT 'Past weeks that it learns from',
    observed Nullable(Float64) COMMENT 'Counted since the likeliest start of a drop, if there were one',
    expected Nullable(Float64) COMMENT 'Predicted for that time by the same hours of past weeks',
    strength Nullable(Float64) COMMENT 'Evidence for a drop as a part of what an alert needs, in logarithms: 1 alerts',
    carried String COMMENT 'JSON object: what it must know to go on after a restart',
    version UInt64 COMMENT 'Grows with each state'
)
ENGINE = /* Replicated */ReplacingMergeTree(version)
ORDER BY monitor
COMMENT 'State of each monitor, with outdated states; read the view monitors';

-- Grain: one row a monitor.
-- Key: monitor.
-- Engine: a view over monitor_rows with FINAL, so that a monitor shows its current state only.
CREATE OR REPLACE VIEW monitors /* ON CLUSTER */
(
    monitor LowCardinality(String) COMMENT 'Name in the configuration',
    kind LowCardinality(String) COMMENT 'activations, conversion, active_tokens, time_to_first_call or silence',
    evaluated_at DateTime64(3, 'UTC') COMMENT 'End of the last hour it has evaluated',
    condition LowCardinality(String) COMMENT 'learning: too few past weeks; quiet; dropped: an alert holds',
    weeks Float64 COMMENT 'Past weeks that it learns from',
    observed Nullable(Float64) COMMENT 'Counted since the likeliest start of a drop, if there were one',
    expected Nullable(Float64) COMMENT 'Predicted for that time by the same hours of past weeks',
    strength Nullable(Float64) COMMENT 'Evidence for a drop as a part of what an alert needs, in logarithms: 1 alerts'
)
COMMENT 'State of each monitor as of its last evaluation'
AS SELECT monitor, kind, evaluated_at, condition, weeks, observed, expected, strength
FROM monitor_rows FINAL;

-- Grain: one row for each state of an alert: firing, then resolved. The view `alerts` shows the current one.
-- Key: alert_id, a hash of the monitor, the scope and the start, so that finding an incident again changes nothing.
-- Engine: ReplacingMergeTree. A state is written again with a higher version.
CREATE TABLE IF NOT EXISTS alert_rows /* ON CLUSTER */
(
    alert_id String COMMENT 'Stable for as long as the incident lasts, and across restarts',
    monitor LowCardinality(String) COMMENT 'Name of the monitor in the configuration',
    kind LowCardinality(String) COMMENT 'activations, conversion, active_tokens, time_to_first_call or silence',
    state LowCardinality(String) COMMENT 'firing or resolved',
    reason LowCardinality(String) COMMENT 'Of a resolved one: recovered, accepted: it lasted so long that it is the usual level now; withdrawn: its monitor is gone',
    level LowCardinality(String) COMMENT 'developer or company; empty for tokens and sources',
    stage LowCardinality(String) COMMENT 'Stage, activation definition or source that it is about',
    segment LowCardinality(String) COMMENT 'Segment in which it was found or concentrates; empty: everywhere alike',
    value String COMMENT 'Value of that segment',
    missing_share Nullable(Float64) COMMENT 'Part of what is missing that is missing in that segment; found in it alone: NULL',
    started_at DateTime64(3, 'UTC') COMMENT 'Likeliest start',
    started_earliest DateTime64(3, 'UTC') COMMENT 'The start lies between this ...',
    started_latest DateTime64(3, 'UTC') COMMENT '... and this with 90 % probability',
    detected_at DateTime64(3, 'UTC') COMMENT 'End of the hour with which the evidence was enough',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Likeliest end; still firing: NULL',
    observed Float64 COMMENT 'Counted from the start until it was detected',
    expected Float64 COMMENT 'Predicted for that time by the same hours of past weeks',
    trials Nullable(Float64) COMMENT 'Of a share: how many could have been counted',
    drop Float64 COMMENT 'Part that is missing of what is expected: 0.3 is 30 %',
    probability Float64 COMMENT 'Of so few in that time if nothing has changed',
    false_alarms_per_month Float64 COMMENT 'Alarms of such strength that chance makes in a month, all monitors together, at most',
    summary String COMMENT 'All of it in a few words',
    query String COMMENT 'Command that shows the numbers',
    version UInt64 COMMENT 'Grows with each state'
)
ENGINE = /* Replicated */ReplacingMergeTree(version)
ORDER BY alert_id
COMMENT 'Alerts, with outdated states; read the view alerts';

-- Grain: one row an alert.
-- Key: alert_id.
-- Engine: a view over alert_rows with FINAL, so that an alert shows its current state only.
CREATE OR REPLACE VIEW alerts /* ON CLUSTER */
(
    alert_id String COMMENT 'Stable for as long as the incident lasts',
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
    delivered_to Array(String) COMMENT 'Channels that took it in its current state'
)
COMMENT 'Drops and silences that were alerted on'
AS SELECT
    alert_id, monitor, kind, state, reason, level, stage, segment, value, missing_share, started_at, started_earliest, started_latest,
    detected_at, ended_at, observed, expected, trials, drop, probability, false_alarms_per_month, summary, query, delivered_to
FROM (SELECT * FROM alert_rows FINAL) AS states
LEFT JOIN
(
    SELECT alert_id, state, arraySort(groupArray(toString(channel))) AS delivered_to
    FROM alert_delivery_rows FINAL
    GROUP BY alert_id, state
) AS delivered USING (alert_id, state);

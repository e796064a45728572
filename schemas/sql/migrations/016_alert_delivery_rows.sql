-- Grain: one row for each state of an alert that was delivered through a channel.
-- Key: (alert_id, state, channel).
-- Engine: ReplacingMergeTree, so that a repeated delivery has one row, of its latest time. What is not here for a channel is
--   delivered after the next start.
CREATE TABLE IF NOT EXISTS alert_delivery_rows /* ON CLUSTER */
(
    alert_id String COMMENT 'The alert',
    state LowCardinality(String) COMMENT 'Which state was delivered: firing or resolved',
    channel LowCardinality(String) COMMENT 'Name of the channel in the configuration',
    delivered_at DateTime64(3, 'UTC') COMMENT 'When its receiver took it',
    attempts UInt32 COMMENT 'How many attempts it took'
)
ENGINE = /* Replicated */ReplacingMergeTree(delivered_at)
ORDER BY (alert_id, state, channel)
COMMENT 'Which alert was delivered through which channel';

-- Grain: one row for each state of an entry of the configuration. The view `definitions` shows the current ones.
-- Key: (section, name).
-- Engine: ReplacingMergeTree. The sink writes its configuration when it starts; what is in it no more has is_deleted.
CREATE TABLE IF NOT EXISTS definition_rows /* ON CLUSTER */
(
    section LowCardinality(String) COMMENT 'Section of the configuration: stages, activations, segments, churn_risks, power_users, ...; generation: what all rows were made under',
    name String COMMENT 'Name of the entry; empty where the section is one',
    position UInt16 COMMENT 'Its place in the section, from 0: the order of the funnel',
    definition String CODEC(ZSTD(1)) COMMENT 'JSON: the configured entry, defaults included; of internal a digest',
    version UInt64 COMMENT 'When it was written, milliseconds since 1970 UTC',
    is_deleted UInt8 DEFAULT 0 COMMENT '1: the configuration has no such entry any more'
)
ENGINE = /* Replicated */ReplacingMergeTree(version, is_deleted)
ORDER BY (section, name)
COMMENT 'The configuration as the views use it, with outdated states; read the view definitions';

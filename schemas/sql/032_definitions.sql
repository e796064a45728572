-- Grain: one row for each entry of the sections of the configuration that views go by.
-- Key: (section, name).
-- Engine: a view over definition_rows with FINAL.
CREATE OR REPLACE VIEW definitions /* ON CLUSTER */
(
    section LowCardinality(String) COMMENT 'stages, activations, segments, churn_risks or power_users',
    name String COMMENT 'Name of the entry',
    position UInt16 COMMENT 'Its place in the section, from 0: the order of the funnel',
    definition String COMMENT 'JSON object: what the configuration says of it, defaults included'
)
COMMENT 'What the numbers mean: stages, activations, segments, churn risks and power users as configured'
AS SELECT section, name, position, definition
FROM definition_rows FINAL;

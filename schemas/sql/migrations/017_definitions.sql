-- Grain: one row for each entry of the sections of the configuration that views go by.
-- Key: (section, name).
-- Engine: a view over definition_rows with FINAL.
CREATE OR REPLACE VIEW definitions /* ON CLUSTER */
(
    section LowCardinality(String) COMMENT 'Section of the configuration: stages, activations, segments, churn_risks, power_users, ...; generation: what all rows were made under',
    name String COMMENT 'Name of the entry; empty where the section is one',
    position UInt16 COMMENT 'Its place in the section, from 0: the order of the funnel',
    definition String COMMENT 'JSON: the configured entry, defaults included; of internal a digest'
)
COMMENT 'What the numbers mean: stages, activations, segments, churn risks and power users as configured'
AS SELECT section, name, position, definition
FROM definition_rows FINAL;

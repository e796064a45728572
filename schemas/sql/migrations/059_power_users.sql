-- Grain: one row for each developer or company that is a power user by a definition, as of the latest event.
-- Key: (level, definition, subject_id).
-- Engine: a view over power_users_at, where the rules are; that one answers for any other time.
CREATE OR REPLACE VIEW power_users /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    definition String COMMENT 'Name of the power-user definition',
    subject_id String COMMENT 'Developer id or company id',
    company_id String COMMENT 'Of a developer its company, empty if none is known; of a company itself',
    active_days UInt64 COMMENT 'UTC days with production use among the last of_days',
    of_days UInt16 COMMENT 'How many days the definition looks back, the current one included',
    last_day Date COMMENT 'The latest of the active days'
)
COMMENT 'Who uses the API all the time, by the configured definitions'
AS SELECT level, definition, subject_id, company_id, active_days, of_days, last_day
FROM /* database */power_users_at(at = '');

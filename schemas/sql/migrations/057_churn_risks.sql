-- Grain: one row for each developer or company that may be lost by a churn-risk definition, as of the latest event.
-- Key: (level, definition, subject_id).
-- Engine: a view over churn_risks_at, where the rules are; that one answers for any other time.
CREATE OR REPLACE VIEW churn_risks /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    definition String COMMENT 'Name of the churn-risk definition',
    subject_id String COMMENT 'Developer id or company id',
    company_id String COMMENT 'Of a developer its company, empty if none is known; of a company itself',
    at_risk_since DateTime64(3, 'UTC') COMMENT 'When the time that the definition gives was over',
    entered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the stage of the definition was entered; NULL if it has none',
    last_use_hour Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the last hour with production use, as in activity; NULL if there was none',
    days_silent Int64 COMMENT 'Whole days since the stage was entered, else since the end of the hour of the last use'
)
COMMENT 'Who may be lost, by the configured definitions'
AS SELECT level, definition, subject_id, company_id, at_risk_since, entered_at, last_use_hour, days_silent
FROM /* database */churn_risks_at(at = '');

-- title: Subjects at risk, by the configured definitions, the latest use or stage first
-- description: No use so many hours after a stage, or none for so many days.
-- topic: accounts
-- parameters:
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
--   level: {values: [developer, company], meaning: empty for both}
--   definition: {names: churn_risks, meaning: name of the churn-risk definition; empty for all}
--   company: {names: companies, meaning: of this company alone; empty for all}
--   limit: {type: UInt32, default: 50, meaning: how many rows}
-- columns:
--   level: developer or company
--   definition: its name in the configuration
--   subject: id of the developer or company
--   company: of a developer, the last it was linked to
--   at_risk_since: when the time without use was over, UTC
--   entered_at: the stage, where the definition names one
--   last_use_hour: start of the last hour of production use; NULL if never
--   days_silent: whole days since then, else since the stage
SELECT level, definition, subject_id AS subject, company_id AS company, at_risk_since, entered_at, last_use_hour, days_silent
FROM churn_risks_at(at = {at:String})
WHERE ({level:String} = '' OR level = {level:String}) AND ({definition:String} = '' OR definition = {definition:String})
    AND ({company:String} = '' OR company_id = {company:String})
ORDER BY at_risk_since DESC, level DESC, definition, subject
LIMIT {limit:UInt32}

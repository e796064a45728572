-- title: Power users, by the configured definitions, most active days first
-- topic: accounts
-- parameters:
--   at: {type: Time, meaning: 'as of this time, UTC; empty for the latest event'}
--   level: {values: [developer, company], meaning: empty for both}
--   definition: {names: power_users, meaning: name of the power-user definition; empty for all}
--   company: {names: companies, meaning: of this company alone; empty for all}
--   limit: {type: UInt32, default: 50, meaning: how many rows}
-- chart: {kind: bar, label: subject, numbers: [active_days]}
-- columns:
--   level: developer or company
--   definition: its name in the configuration
--   subject: id of the developer or company
--   company: of a developer, the last it was linked to
--   active_days: UTC days with production use
--   of_days: of so many last ones
--   last_day: the latest of them
SELECT level, definition, subject_id AS subject, company_id AS company, active_days, of_days, last_day
FROM power_users_at(at = {at:String})
WHERE ({level:String} = '' OR level = {level:String}) AND ({definition:String} = '' OR definition = {definition:String})
    AND ({company:String} = '' OR company_id = {company:String})
ORDER BY active_days DESC, level DESC, definition, subject
LIMIT {limit:UInt32}

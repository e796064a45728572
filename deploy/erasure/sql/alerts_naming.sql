-- Alerts about a value that names any of the ids, outdated states among them. Their summary and query name it too, and nobody else.
SELECT DISTINCT alert_id FROM alert_rows WHERE match(value, {pattern:String})

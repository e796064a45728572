-- Deletes all states of alerts.
DELETE FROM alert_rows WHERE alert_id IN {alert_ids:Array(String)}

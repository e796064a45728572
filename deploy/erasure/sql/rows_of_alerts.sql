-- All rows of alerts: their states, and their deliveries, whose ids are derived from the value that an alert is about.
FROM {table:Identifier} WHERE alert_id IN {alert_ids:Array(String)}

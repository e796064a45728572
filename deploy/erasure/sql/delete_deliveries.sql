-- Deletes to whom alerts were told: their ids are made from what they are about.
DELETE FROM alert_delivery_rows WHERE alert_id IN {alert_ids:Array(String)}

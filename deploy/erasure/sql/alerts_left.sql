-- Rows of alerts about a value that names any of the ids, and of monitors that carry such an alert, by table.
SELECT 'alert_rows' AS name, count() AS found
FROM alert_rows
WHERE match(value, {pattern:String})
UNION ALL
SELECT 'monitor_rows' AS name, count() AS found
FROM monitor_rows
WHERE match(JSONExtractString(carried, 'holds', 'value'), {pattern:String})
    OR match(JSONExtractString(carried, 'state', 'incident', 'scope', 2), {pattern:String})
    OR arrayExists(untold -> match(JSONExtractString(untold, 'value'), {pattern:String}), JSONExtractArrayRaw(carried, 'untold'))

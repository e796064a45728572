-- States of monitors that carry an alert about a value that names any of the ids. Without them a monitor starts again.
FROM monitor_rows
WHERE match(JSONExtractString(carried, 'holds', 'value'), {pattern:String})
    OR match(JSONExtractString(carried, 'state', 'incident', 'scope', 2), {pattern:String})
    OR arrayExists(alert -> match(JSONExtractString(alert, 'value'), {pattern:String}), JSONExtractArrayRaw(carried, 'pending'))

-- Deletes states of monitors that carry an alert about a value that names any of the ids. Such a monitor begins anew.
DELETE FROM monitor_rows
WHERE match(JSONExtractString(carried, 'holds', 'value'), {pattern:String})
    OR match(JSONExtractString(carried, 'state', 'incident', 'scope', 2), {pattern:String})
    OR arrayExists(untold -> match(JSONExtractString(untold, 'value'), {pattern:String}), JSONExtractArrayRaw(carried, 'untold'))

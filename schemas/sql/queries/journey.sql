-- One developer's way, event by event, whatever alias an event carried.
-- developer = : developer id, as in developers.id
-- limit = 100: how many events
SELECT time, source, name, path, status, alias_kind, company_id, environment
FROM journey(developer = {developer:String})
ORDER BY time, name, message_id
LIMIT {limit:UInt32}

-- Writes how far an erasure is. completed: milliseconds since 1970 UTC, 0 if it is not.
INSERT INTO erasure_rows (subject, level, asked_at, completed_at, events, users, aliases, keys, version)
SELECT
    {subject:String}, {level:String}, fromUnixTimestamp64Milli({asked:Int64}, 'UTC'),
    if({completed:Int64} = 0, NULL, fromUnixTimestamp64Milli({completed:Int64}, 'UTC')),
    {events:UInt64}, {users:UInt64}, {aliases:UInt64}, {keys:UInt64}, toUnixTimestamp64Milli(now64(3))

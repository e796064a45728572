-- Writes the state of an erasure. completed_at: milliseconds since 1970 UTC, 0 if it is not completed.
INSERT INTO erasure_rows (subject, level, asked_at, completed_at, events, users, aliases, keys, version)
SELECT
    {subject:String}, {level:String}, fromUnixTimestamp64Milli({asked_at:Int64}, 'UTC'),
    if({completed_at:Int64} = 0, NULL, fromUnixTimestamp64Milli({completed_at:Int64}, 'UTC')),
    {events:UInt64}, {users:UInt64}, {aliases:UInt64}, {keys:UInt64}, toUnixTimestamp64Milli(now64(3))

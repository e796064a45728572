-- The alerts, the latest first: what dropped, since when, in which segment, how improbable it is, and whether it still holds.
-- state = : firing or resolved; empty for both
-- limit = 50: how many
-- topic: alerts
SELECT
    detected_at, state, monitor, started_at, ended_at, segment, value, observed, expected,
    round(100 * drop, 1) AS drop_percent, probability, summary
FROM alerts
WHERE {state:String} = '' OR state = {state:String}
ORDER BY detected_at DESC
LIMIT {limit:UInt32}

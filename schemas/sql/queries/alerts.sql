-- title: The alerts, the latest first
-- description: What dropped, since when, in which segment, how improbable it is, and whether it still holds.
-- topic: alerts
-- parameters:
--   state: {values: [firing, resolved], meaning: empty for both}
--   limit: {type: UInt32, default: 50, meaning: how many}
-- columns:
--   detected_at: when it was raised, UTC
--   state: firing or resolved
--   monitor: its name in the configuration
--   started_at: since when, by the likeliest start
--   ended_at: when it was over; NULL while it holds
--   segment: where it concentrates; empty for everywhere
--   value: of that segment
--   observed: what was counted since the start
--   expected: what the same hours of past weeks predict
--   drop_percent: how much less
--   probability: of so few or fewer without a change
--   summary: all of it in a sentence
SELECT
    detected_at, state, monitor, started_at, ended_at, segment, value, observed, expected,
    round(100 * drop, 1) AS drop_percent, probability, summary
FROM alerts
WHERE {state:String} = '' OR state = {state:String}
ORDER BY detected_at DESC
LIMIT {limit:UInt32}

-- When a condition on a number of events, or of UTC days, came to hold. Copies are one event, and a day begins with its first:
-- at the earliest time.
INSERT INTO {moments:Identifier}
SELECT {level:String}, id, {condition:UInt16}, at
FROM
(
    SELECT if({level:String} = 'developer', developer, company) AS id, min(time) AS at
    FROM {facts:Identifier}
    WHERE has(selectors, {selector:UInt16}) AND id != ''
        AND developer NOT IN (SELECT developer FROM {own:Identifier})
    GROUP BY id, if({by_day:UInt8}, toUInt64(intDiv(time, 86400000)), event)
)
ORDER BY id, at
LIMIT {before:UInt32}, 1 BY id

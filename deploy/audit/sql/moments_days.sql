-- When a condition on a number of UTC days came to hold: at the earliest event of the last of them.
INSERT INTO {moments:Identifier}
SELECT {level:String}, id, {condition:UInt16}, at
FROM
(
    SELECT if({level:String} = 'developer', developer, company) AS id, min(time) AS at
    FROM {facts:Identifier}
    WHERE has(selectors, {selector:UInt16}) AND id != ''
        AND developer NOT IN (SELECT developer FROM {own:Identifier})
    GROUP BY id, intDiv(time, 86400000)
)
ORDER BY id, at
LIMIT {before:UInt32}, 1 BY id

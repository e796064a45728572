-- When a condition that needs one event came to hold.
INSERT INTO {moments:Identifier}
SELECT level, id, {condition:UInt16}, firsts[{selector:UInt16}]
FROM {subjects:Identifier}
WHERE level = {level:String} AND mapContains(firsts, {selector:UInt16})

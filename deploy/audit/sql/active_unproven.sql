-- Hours that only a later copy of an event explains count in the rolling counts as well, which follow from them.
INSERT INTO {active:Identifier}
WITH
/* days */
SELECT level, id, environment, day * 24 + bit AS hour, 0
FROM days
ARRAY JOIN bitPositionsToArray(bitAnd(found, bitNot(expected))) AS bit
WHERE verdict = 'unproven'

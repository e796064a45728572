-- Values of segments that only a later copy of an event explains decide the rolling counts as well, which follow from them.
INSERT INTO {segments:Identifier}
SELECT own.level, own.id, own.segment, published.value, own.possible, 1
FROM
(
    SELECT id, toString(one.1) AS segment, one.2 AS value
    FROM /* profiles */
    ARRAY JOIN arrayZip(mapKeys(segments), mapValues(segments)) AS one
) AS published
INNER JOIN
(
    SELECT toString(level) AS level, id, toString(segment) AS segment, value, possible
    FROM {segments:Identifier} WHERE level = {level:String} AND length(possible) > 1
) AS own ON published.id = own.id AND published.segment = own.segment
WHERE published.value != own.value AND has(own.possible, published.value)

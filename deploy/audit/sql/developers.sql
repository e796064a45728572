-- Developers and visitors. An internal one needs no event that matters; a visitor of automated traffic is a bot and has nothing else.
INSERT INTO {subjects:Identifier}
WITH bots AS (SELECT concat(kind, ':', alias) AS id FROM {automated:Identifier} WHERE is_visitor AND NOT with_key)
SELECT
    'developer', developer, if(any(is_visitor), 'visitor', 'user'), any(developer_company),
    minIf(time, notEmpty(selectors) OR touch != 0), maxIf(time, notEmpty(selectors) OR touch != 0),
    minMap(selectors, arrayWithConstant(length(selectors), time)),
    max(is_internal), false
FROM {facts:Identifier}
WHERE developer NOT IN (SELECT id FROM bots)
GROUP BY developer
HAVING countIf(notEmpty(selectors) OR touch != 0) > 0 OR max(is_internal)
UNION ALL
SELECT 'developer', id, 'visitor', '', 0, 0, map(), false, true
FROM bots

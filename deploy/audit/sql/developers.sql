-- Developers and visitors. Who has nothing but internal marks is none; who is automated is a bot.
INSERT INTO {subjects:Identifier}
SELECT
    'developer', developer, if(any(is_visitor), 'visitor', 'user'), any(developer_company),
    minIf(time, notEmpty(selectors) OR touch != 0), maxIf(time, notEmpty(selectors) OR touch != 0),
    minMap(selectors, arrayWithConstant(length(selectors), time)),
    max(is_internal), false
FROM {facts:Identifier}
GROUP BY developer
HAVING countIf(notEmpty(selectors) OR touch != 0) > 0
UNION ALL
SELECT 'developer', concat(kind, ':', alias), 'visitor', '', 0, 0, map(), false, true
FROM {automated:Identifier}
WHERE NOT is_linked

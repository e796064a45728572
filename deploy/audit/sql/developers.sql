-- Developers and visitors. Who is internal is one though nothing else is known of him; who is automated is a bot.
INSERT INTO {subjects:Identifier}
SELECT
    'developer', developer, if(any(is_visitor), 'visitor', 'user'), any(developer_company),
    minIf(time, notEmpty(selectors) OR touch != 0), maxIf(time, notEmpty(selectors) OR touch != 0),
    minMap(selectors, arrayWithConstant(length(selectors), time)),
    max(is_internal), false
FROM {facts:Identifier}
GROUP BY developer
HAVING countIf(notEmpty(selectors) OR touch != 0) > 0 OR max(is_internal)
UNION ALL
SELECT 'developer', concat(kind, ':', alias), 'visitor', '', 0, 0, map(), false, true
FROM {automated:Identifier}
WHERE NOT is_linked

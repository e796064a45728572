-- Companies, from the events of all but internal developers.
INSERT INTO {subjects:Identifier}
SELECT
    'company', company, 'company', '',
    min(time), max(time),
    minMap(selectors, arrayWithConstant(length(selectors), time)),
    has({own_companies:Array(String)}, company), false
FROM {facts:Identifier}
WHERE company != '' AND (notEmpty(selectors) OR touch != 0) AND developer NOT IN (SELECT developer FROM {own:Identifier})
GROUP BY company

-- Hours of use of the API: by token, by known developer, by company that is not the own one. An hour includes its end.
INSERT INTO {active:Identifier}
WITH
    uses AS
    (
        SELECT
            if(is_visitor, '', developer) AS known_developer,
            if(has({own_companies:Array(String)}, company), '', company) AS counted_company,
            environment, intDiv(time + 3599999, 3600000) - 1 AS hour, max(time) AS latest
        FROM {facts:Identifier}
        WHERE api_key != '' AND has(selectors, {usage:UInt16})
            AND developer NOT IN (SELECT developer FROM {own:Identifier})
        GROUP BY known_developer, counted_company, environment, hour
    )
SELECT subject.1 AS level, subject.2 AS id, environment, hour, max(latest)
FROM uses
ARRAY JOIN [('developer', known_developer), ('company', counted_company)] AS subject
WHERE id != ''
GROUP BY level, id, environment, hour
UNION ALL
SELECT 'token', api_key, environment, intDiv(time + 3599999, 3600000) - 1 AS hour, max(time)
FROM {token_events:Identifier}
WHERE is_use
GROUP BY api_key, environment, hour

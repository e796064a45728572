-- First touches: of several at one moment the one whose fields and texts are the smallest.
INSERT INTO {first_touches:Identifier}
WITH
    touched AS
    (
        SELECT
            developer, if(developer IN (SELECT developer FROM {own:Identifier}), '', company) AS counted_company,
            touch, min(time) AS at
        FROM {facts:Identifier}
        WHERE touch != 0
        GROUP BY developer, counted_company, touch
    )
SELECT level, id, first.1, first.2
FROM
(
    SELECT subject.1 AS level, subject.2 AS id, min((at, fields)) AS first
    FROM (SELECT developer, counted_company, at, fields FROM touched ANY LEFT JOIN {touches:Identifier} AS known ON touched.touch = known.fields_hash)
    ARRAY JOIN [('developer', developer), ('company', counted_company)] AS subject
    WHERE id != ''
    GROUP BY level, id
)

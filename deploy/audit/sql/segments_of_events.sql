-- Values of segments by token, developer and company: of the first event with one, or of the last.
INSERT INTO {segments:Identifier}
WITH
    carried AS
    (
        SELECT
            [('developer', developer), ('company', if(developer IN (SELECT developer FROM {own:Identifier}), '', company))] AS subjects,
            time, one.1 AS segment, one.2 AS value
        FROM {facts:Identifier}
        ARRAY JOIN arrayZip(mapKeys(segments), mapValues(segments)) AS one
        UNION ALL
        SELECT [('token', api_key)], time, one.1, one.2
        FROM {token_events:Identifier}
        ARRAY JOIN arrayZip(mapKeys(segments), mapValues(segments)) AS one
    ),
    by_value AS
    (
        SELECT subject.1 AS level, subject.2 AS id, segment, value, min(time) AS earliest, max(time) AS latest
        FROM carried
        ARRAY JOIN subjects AS subject
        WHERE id != ''
        GROUP BY level, id, segment, value
    )
SELECT
    level, id, segment,
    if(has({latest_segments:Array(String)}, segment), max((latest, value)).2, min((earliest, value)).2),
    if(has({latest_segments:Array(String)}, segment) AND {copies_ms:Int64} > 0,
       arrayMap(one -> one.2, arrayFilter(one -> ({copies_ms:Int64} - one.1, one.2) >= max((latest, value)), groupArraySorted(64)((-latest, value)))),
       []),
    0
FROM by_value
GROUP BY level, id, segment

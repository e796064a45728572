-- Outreach by name and segments, each once, at its earliest time.
WITH
/* renamed */,
    sides AS
    (
        SELECT alias_kind AS kind, alias, event, first.1 AS time, first.2 AS segment_values, first.3 AS name, false AS is_found
        FROM
        (
            SELECT alias_kind, alias, event, min((time, arraySort(arrayZip(mapKeys(segments), mapValues(segments))), toString(outreach))) AS first
            FROM {marked:Identifier}
            WHERE outreach != ''
            GROUP BY alias_kind, alias, event
        )
        UNION ALL
        SELECT
            alias_kind, if(renamed.first_hash != '', renamed.first_hash, published.alias) AS known_alias, sipHash64(alias_kind, known_alias, message_id),
            toUnixTimestamp64Milli(held_at), arraySort(arrayZip(mapKeys(segments), mapValues(segments))), toString(name), true
        FROM outreach AS published
        ANY LEFT JOIN renamed ON if(alias_kind = 'api_key', published.alias, '') = renamed.later_hash
    ),
    compared AS
    (
        SELECT
            concat(any(kind), ':', any(alias)) AS id,
            minIf(time, NOT is_found) AS expected, minIf(time, is_found) AS found,
            multiIf(NOT max(is_found), 'missing', min(is_found), 'surplus', expected = found, 'agree', 'differ') AS verdict,
            concat(' ', name, arrayStringConcat(arrayMap(field -> concat(', ', field.1, ' ', field.2), segment_values), '')) AS shown,
            if(verdict IN ('agree', 'surplus'), '', concat('at ', toString(fromUnixTimestamp64Milli(expected, 'UTC')), shown)) AS shown_expected,
            if(verdict IN ('agree', 'missing'), '', concat('at ', toString(fromUnixTimestamp64Milli(found, 'UTC')), shown)) AS shown_found
        FROM sides
        GROUP BY event, segment_values, name
    )
/* outcome */

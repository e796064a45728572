-- Touches by their fields, equal copies at their earliest time. Whose they are follows from the identities.
WITH
/* renamed */,
    sides AS
    (
        SELECT
            alias_kind AS kind, alias, event, fields, api_key,
            if(user_id = '', (session_token, anonymous_id), ('', '')) AS web_aliases, company_id AS company,
            arraySort(arrayZip(mapKeys(segments), mapValues(segments))) AS segment_values, is_content, time, false AS is_found
        FROM {marked:Identifier} AS event
        ANY LEFT JOIN (SELECT fields_hash, fields FROM {touches:Identifier}) AS known ON event.touch = known.fields_hash
        WHERE touch != 0
        UNION ALL
        SELECT
            alias_kind, if(alias_kind = 'api_key', key, alias) AS known_alias, sipHash64(alias_kind, known_alias, message_id),
            arrayFilter(field -> field.2 != '', [
                ('campaign', toString(campaign)), ('content', toString(content)), ('medium', toString(medium)), ('name', toString(name)),
                ('path', path), ('referrer', toString(referrer)), ('source', toString(source)), ('term', toString(term))]),
            if(renamed.first_hash != '', renamed.first_hash, row.api_key) AS key, (session_token, anonymous_id), company_id,
            arraySort(arrayZip(mapKeys(segments), mapValues(segments))), is_content, time, true
        FROM (SELECT * FROM touch_rows FINAL WHERE is_touch) AS row
        ANY LEFT JOIN renamed ON row.api_key = renamed.later_hash
    ),
    compared AS
    (
        SELECT
            concat(any(kind), ':', any(alias)) AS id,
            minIf(time, NOT is_found) AS expected, minIf(time, is_found) AS found,
            multiIf(NOT max(is_found), 'missing', min(is_found), 'surplus', expected = found, 'agree', 'differ') AS verdict,
            concat(arrayStringConcat(arrayMap(field -> concat(', ', field.1, ' ', field.2), arrayConcat(fields, segment_values)), ''), if(is_content, ', content', '')) AS shown,
            if(verdict IN ('agree', 'surplus'), '', concat('at ', toString(fromUnixTimestamp64Milli(expected, 'UTC')), shown)) AS shown_expected,
            if(verdict IN ('agree', 'missing'), '', concat('at ', toString(fromUnixTimestamp64Milli(found, 'UTC')), shown)) AS shown_found
        FROM sides
        GROUP BY event, fields, api_key, web_aliases, company, segment_values, is_content
    )
/* outcome */

-- Aliases: all parents of each, by time.
WITH
    expected AS
    (
        SELECT web_kind AS kind, web_alias AS alias, 'developer' AS level, parent, from_time
        FROM {links:Identifier} ARRAY JOIN users AS parent, froms AS from_time
        WHERE NOT is_crowded
        UNION ALL
        SELECT 'session_token', token, 'device', device, device_from FROM {sessions:Identifier} WHERE is_lone
        UNION ALL
        SELECT 'api_key', key, 'developer', owner, owner_from FROM {keys:Identifier} WHERE owner != ''
        UNION ALL
        SELECT 'api_key', key, 'company', key_company, key_company_from FROM {keys:Identifier} WHERE key_company != ''
        UNION ALL
        SELECT 'user_id', user, 'developer', developer, 0 FROM {members:Identifier} WHERE developer != user
        UNION ALL
        SELECT 'user_id', user, 'company', company, 0 FROM {members:Identifier} WHERE company != ''
    ),
    sides AS
    (
        SELECT toString(kind) AS kind, alias, toString(level) AS level, parent, from_time, false AS is_found FROM expected
        UNION ALL
        SELECT toString(alias_kind), alias, toString(level), parent, toUnixTimestamp64Milli(from_time), true FROM identities
        -- Which hashes are of one key only the streams know, as they see the key.
        WHERE (alias_kind, alias) NOT IN (SELECT alias_kind, alias FROM identity_rows FINAL WHERE first_hash NOT IN ('', alias))
    ),
    compared AS
    (
        SELECT
            concat(kind, ':', alias) AS id,
            arraySort(groupArrayIf((level, parent, from_time), NOT is_found)) AS expected_parents,
            arraySort(groupArrayIf((level, parent, from_time), is_found)) AS found_parents,
            multiIf(expected_parents = found_parents, 'agree', empty(found_parents), 'missing',
                    empty(expected_parents), 'surplus', 'differ') AS verdict,
            arrayMap(
                parents -> if(verdict = 'agree', '', arrayStringConcat(
                    arrayMap(p -> concat(p.1, ' ', p.2, if(p.3 = 0, '', concat(' from ', toString(fromUnixTimestamp64Milli(p.3, 'UTC'))))), parents), ', ')),
                [expected_parents, found_parents]) AS shown,
            shown[1] AS shown_expected, shown[2] AS shown_found
        FROM sides
        GROUP BY kind, alias
    )
/* outcome */

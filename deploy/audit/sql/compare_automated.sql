-- Web aliases that hold events which count for nothing, without and with an API key.
WITH
    sides AS
    (
        SELECT concat(kind, ':', alias, if(with_key, ' with an API key', '')) AS id, false AS is_found FROM {automated:Identifier}
        UNION ALL
        SELECT concat(alias_kind, ':', alias, flag.1), true
        FROM identity_rows FINAL
        ARRAY JOIN [('', is_bot), (' with an API key', is_bot_with_key)] AS flag
        WHERE flag.2
    ),
    compared AS
    (
        SELECT id, multiIf(NOT max(is_found), 'missing', min(is_found), 'surplus', 'agree') AS verdict,
            if(verdict = 'missing', 'automated', '') AS shown_expected, if(verdict = 'surplus', 'automated', '') AS shown_found
        FROM sides
        GROUP BY id
    )
/* outcome */

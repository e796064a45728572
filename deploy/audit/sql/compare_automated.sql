-- Web aliases of users whose events count for nothing. Those without a user are visitors, and compared with developers.
WITH
    sides AS
    (
        SELECT concat(kind, ':', alias) AS id, false AS is_found FROM {automated:Identifier} WHERE is_linked
        UNION ALL
        SELECT concat(alias_kind, ':', alias), true FROM identity_rows FINAL WHERE is_bot
    ),
    compared AS
    (
        SELECT id, multiIf(NOT max(is_found), 'missing', min(is_found), 'surplus', 'agree') AS verdict,
            if(verdict = 'missing', 'automated', '') AS shown_expected, if(verdict = 'surplus', 'automated', '') AS shown_found
        FROM sides
        GROUP BY id
    )
/* outcome */

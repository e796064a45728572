-- Web aliases of users whose events count for nothing. Those that nobody is known behind are developers by themselves, and compared there.
WITH
    sides AS
    (
        SELECT concat(kind, ':', alias) AS id, false AS is_found FROM {automated:Identifier} WHERE is_linked
        UNION ALL
        SELECT concat(alias_kind, ':', alias), true FROM identity_rows FINAL WHERE is_bot
    ),
    compared AS
    (
        SELECT id, multiIf(NOT max(is_found), 'missing', min(is_found), 'surplus', 'agree') AS verdict
        FROM sides
        GROUP BY id
    )
SELECT
    'automated traffic' AS published, verdict, count(),
    groupArraySorted({examples:UInt8})(if(verdict = 'agree', ('', '', ''), (
        id, if(verdict = 'missing', 'automated', ''), if(verdict = 'surplus', 'automated', ''))))
FROM compared
GROUP BY verdict

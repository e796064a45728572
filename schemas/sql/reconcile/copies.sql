-- Displaces copies of events that lie in a later week than the earliest copy: the engine only merges copies of one week.
-- It covers events that were written since a moment, and their copies in any week.
-- A displaced copy is never shown again, whatever is written later, so several runs may overlap and repeat each other.
-- Hashes alone are compared first, share by share, so that memory holds the hashes of one share.
-- since: seconds since 1970 UTC
-- share, shares: which share of the hashes, of how many
INSERT INTO event_rows
    (anonymous_id, session_token, api_key, user_id, company_id, previous_id, alias_kind, alias, content_hash, time, version, is_deleted)
SELECT
    identifiers.1, identifiers.2, identifiers.3, identifiers.4, identifiers.5, identifiers.6, alias_kind, alias, content_hash,
    displaced.1 AS time, toUInt64(18446744073709551615) AS version, 1 AS is_deleted
FROM
(
    SELECT
        alias_kind, alias, content_hash,
        -- Equal in all copies. They are kept so that an erasure deletes the displacing row too.
        any((anonymous_id, session_token, api_key, user_id, company_id, previous_id)) AS identifiers,
        min(week) AS first_week,
        groupUniqArrayIf(week, is_deleted = 1) AS displaced_weeks,
        groupArray((time, week)) AS copies
    FROM event_rows
    PREWHERE content_hash IN
    (
        SELECT content_hash
        FROM event_rows
        WHERE content_hash % {shares:UInt32} = {share:UInt32}
            AND content_hash IN
            (
                SELECT content_hash FROM event_rows
                WHERE inserted_at >= {since:UInt32} AND content_hash % {shares:UInt32} = {share:UInt32}
            )
        GROUP BY content_hash
        HAVING max(week) > min(week)
    )
    GROUP BY alias_kind, alias, content_hash
    HAVING max(week) > first_week
)
ARRAY JOIN arrayFilter(copy -> copy.2 > first_week AND NOT has(displaced_weeks, copy.2), copies) AS displaced
SETTINGS insert_allow_materialized_columns = 1

-- How many events of a week have copies that disagree in more than their times, one of them written since a moment.
-- Copies that lie in different weeks are not compared.
-- week: its Monday
-- since: seconds since 1970 UTC
WITH
    recent AS
    (
        SELECT alias_kind, alias, cityHash64(alias_hash, message_id) AS event FROM event_rows
        WHERE week = {week:Date} AND inserted_at >= {since:UInt32} AND is_deleted = 0
    )
SELECT count()
FROM
(
    SELECT cityHash64(alias_hash, message_id) AS event
    FROM event_rows
    WHERE week = {week:Date} AND is_deleted = 0
        AND (alias_kind, alias) IN (SELECT alias_kind, alias FROM recent) AND event IN (SELECT event FROM recent)
    GROUP BY event
    HAVING min(content_hash) != max(content_hash)
)

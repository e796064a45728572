-- Events of these aliases with displaced copies (`settle/copies.sql`): the weeks of the copies that are there, and the times of
-- the rows that displace.
SELECT
    alias_kind, alias, content_hash,
    groupUniqArrayIf(intDiv(time, 604800000), is_deleted = 0) AS weeks,
    groupUniqArrayIf(time, is_deleted = 1) AS times
FROM event_rows
WHERE (alias_kind, alias) IN {aliases:Array(Tuple(String, String))}
GROUP BY alias_kind, alias, content_hash
HAVING notEmpty(times)

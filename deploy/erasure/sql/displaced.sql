-- Events of these aliases with displaced copies (`reconcile/copies.sql`): the weeks of the copies that are there, and time and week
-- of the rows that displace.
SELECT
    alias_kind, alias, content_hash,
    groupUniqArrayIf(week, is_deleted = 0) AS weeks,
    groupUniqArrayIf((time, week), is_deleted = 1) AS displaced
FROM event_rows
WHERE (alias_kind, alias) IN {aliases:Array(Tuple(String, String))}
GROUP BY alias_kind, alias, content_hash
HAVING notEmpty(displaced)

-- Grain: as `touches`, of one level: SELECT * FROM touches_of(level = 'developer'). An empty level for both.
-- Key: (level, subject_id, event_hash).
-- Engine: a view with a parameter over touch_rows; the joins are with the current owners of the aliases, as in `events_resolved`, so
--   touches follow every late link. Events with several rows are few; they are looked at apart, so that the others need neither to be
--   merged nor to be compared. One developer: name `alias_hash` too, with `aliases_of`, so that only his touches are joined.
CREATE OR REPLACE VIEW touches_of /* ON CLUSTER */
COMMENT 'What brought developers or companies here, each touch once, by all that is known now'
AS
WITH
    automated AS (SELECT cityHash64(alias_kind, alias) FROM identity_rows FINAL WHERE is_bot),
    -- Values, not rows: they are found once, and while the second is empty, which it mostly is, half of `counted` reads no touches.
    -- Looked up they are as rows again: an array beyond a megabyte is no literal any more, and would be searched from its beginning.
    (
        SELECT (groupArray(event_hash), groupArrayIf(event_hash, disagree))
        FROM (SELECT event_hash, min(content_hash) != max(content_hash) AS disagree FROM touch_rows WHERE is_touch GROUP BY event_hash HAVING count() > 1)
    ) AS found,
    found.1 AS copied,
    found.2 AS disagreeing,
    -- Merging copies takes as long as all the rest, so only those are merged that there are.
    once AS
    (
        SELECT *, alias_hash, own_developer_hash FROM touch_rows WHERE is_touch AND event_hash NOT IN (SELECT arrayJoin(copied))
        UNION ALL
        SELECT *, alias_hash, own_developer_hash FROM touch_rows FINAL PREWHERE event_hash IN (SELECT arrayJoin(copied)) WHERE is_touch
    ),
    owned AS
    (
        SELECT
            rows.*, owners.developer_id AS owner, owners.owner_hash AS owner_hash, owners.company_id AS owner_company_id,
            -- Only a user's events may carry a key besides their alias.
            if(rows.alias_kind = 'user_id', rows.api_key, '') AS other_key
        FROM once AS rows
        LEFT JOIN
        (
            SELECT alias_hash, from_ms, to_ms, is_shared, developer_id, if(developer_id != '', cityHash64(developer_id), 0) AS owner_hash, company_id
            FROM alias_owners
        ) AS owners
            ON rows.alias_hash = owners.alias_hash
        WHERE (NOT is_shared OR (rows.time >= from_ms AND rows.time < to_ms)) AND rows.alias_hash NOT IN automated
    ),
    resolved AS
    (
        SELECT
            multiIf(owner != '', owner, alias_kind = 'user_id', alias, concat(alias_kind, ':', alias)) AS developer_id,
            if(owner_hash != 0, owner_hash, own_developer_hash) AS developer_hash,
            multiIf(owned.company_id != '', owned.company_id, key_company_id != '', key_company_id, owner_company_id) AS company_id,
            time, texts, event_hash, content_hash, name, campaign, source, medium, term, content, referrer, path, segments, is_content,
            alias_kind, alias, message_id, alias_hash
        FROM owned
        ANY LEFT JOIN
        (SELECT api_key AS key_alias, company_id AS key_company_id FROM api_keys WHERE company_id != '') AS keys ON other_key = key_alias
        WHERE developer_hash NOT IN (SELECT cityHash64(id) FROM profile_rows FINAL WHERE level = 'developer' AND (is_internal OR is_bot))
    ),
    subjects AS
    (
        SELECT subject.1 AS level, if(level = 'developer', developer_id, company_id) AS subject_id, subject.2 AS subject_hash, *
        FROM (SELECT *, if(company_id != '', cityHash64(company_id), 0) AS company_hash FROM resolved)
        ARRAY JOIN multiIf(
            {level:String} = 'developer', [('developer', developer_hash)],
            {level:String} = 'company', [('company', company_hash)],
            [('developer', developer_hash), ('company', company_hash)]) AS subject
        WHERE subject_hash != 0 AND {level:String} IN ('', 'developer', 'company')
            AND (level = 'developer' OR subject_hash NOT IN (SELECT cityHash64(id) FROM profile_rows FINAL WHERE level = 'company' AND is_internal))
    ),
    counted AS
    (
        SELECT * FROM subjects WHERE empty(disagreeing) OR event_hash NOT IN (SELECT arrayJoin(disagreeing))
        UNION ALL
        SELECT * FROM subjects
        WHERE notEmpty(disagreeing) AND event_hash IN (SELECT arrayJoin(disagreeing))
        ORDER BY time, texts, content_hash
        LIMIT 1 BY level, subject_hash, event_hash
    )
SELECT
    level, subject_id, subject_hash, fromUnixTimestamp64Milli(time, 'UTC') AS touched_at, texts, event_hash, name, campaign, source, medium, term, content, referrer,
    path, segments, is_content, developer_id, company_id, alias_kind, alias, message_id, alias_hash
FROM counted;

-- Grain: as `touches`, of one level: SELECT * FROM touches_of(level = 'developer'). An empty level for both.
-- Key: (level, subject_id, event_hash).
-- Engine: a view with a parameter over touch_rows; the joins are with what the identifiers lead to now, as in `events_resolved`, so
--   touches follow every late link. Events with several rows are few; they are looked at apart, so that the others need neither to be
--   merged nor to be compared. One developer: name `alias_hash` too, with `aliases_of`, so that only his touches are joined.
CREATE OR REPLACE VIEW touches_of /* ON CLUSTER */
COMMENT 'What brought developers or companies here, each touch once, by all that is known now'
AS
WITH
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
        SELECT *, alias_hash, key_hash, session_hash, device_hash FROM touch_rows WHERE is_touch AND event_hash NOT IN (SELECT arrayJoin(copied))
        UNION ALL
        SELECT *, alias_hash, key_hash, session_hash, device_hash FROM touch_rows FINAL PREWHERE event_hash IN (SELECT arrayJoin(copied)) WHERE is_touch
    ),
    linked AS
    (
        SELECT
            rows.*, key_owner, key_company_id, token, if(anonymous_id != '', anonymous_id, session_device) AS device_id,
            if(notEmpty(session_users), session_users, device_users) AS user_ids,
            if(notEmpty(session_users), session_from, device_from) AS from_ms,
            -- What holds an event is its own device, else its session.
            if(device_hash != 0, (device_bot, device_bot_with_key), (session_bot, session_bot_with_key)) AS automated
        FROM once AS rows
        ANY LEFT JOIN (SELECT key_hash AS of_key, developer_id AS key_owner, company_id AS key_company_id, token FROM api_keys) AS keys ON rows.key_hash = of_key
        ANY LEFT JOIN
        (
            SELECT alias_hash AS session, user_ids AS session_users, from_ms AS session_from, device_id AS session_device, of_device_hash, is_bot AS session_bot, is_bot_with_key AS session_bot_with_key
            FROM web_aliases WHERE alias_kind = 'session_token'
        ) AS sessions ON rows.session_hash = session
        ANY LEFT JOIN
        (
            SELECT alias_hash AS device, user_ids AS device_users, from_ms AS device_from, is_bot AS device_bot, is_bot_with_key AS device_bot_with_key
            FROM web_aliases WHERE alias_kind = 'anonymous_id'
        ) AS devices ON if(rows.device_hash != 0, rows.device_hash, of_device_hash) = device
        WHERE key_owner != '' OR NOT if(api_key = '', automated.1, automated.2)
    ),
    owned AS
    (
        SELECT
            *,
            multiIf(
                alias_kind = 'user_id', alias,
                key_owner != '', key_owner,
                user_ids[greatest(1, arrayCount(from -> from <= time, from_ms))]) AS user
        FROM linked
    ),
    resolved AS
    (
        SELECT
            multiIf(
                users.developer_id != '', users.developer_id,
                user != '', user,
                device_id != '', concat('anonymous_id:', device_id),
                session_token != '', concat('session_token:', session_token),
                concat('api_key:', if(token != '', token, api_key))) AS developer_id,
            cityHash64(developer_id) AS developer_hash,
            multiIf(owned.company_id != '', owned.company_id, key_company_id != '', key_company_id, users.company_id) AS company_id,
            time, texts, event_hash, content_hash, name, campaign, source, medium, term, content, referrer, path, segments, is_content,
            alias_kind, alias, message_id, alias_hash
        FROM owned
        ANY LEFT JOIN (SELECT cityHash64(user_id) AS user_hash, developer_id, company_id FROM canonical_users) AS users ON cityHash64(user) = users.user_hash
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

-- Grain: one row for each touch of a developer, and one for each touch of a company, which are those of all its developers
--   and keys, and of the visitors whose events name it. Copies of an event count once, at their earliest time; of copies of
--   one time that disagree, the one with the smallest content counts. Internal and automated subjects are left out, and what
--   internal developers do is no touch of their company.
-- Key: (level, subject_id, event_hash).
-- Engine: a view over touch_rows with FINAL; the joins are with the current owners of the aliases, as in `events_resolved`, so
--   touches follow every late link. The first of a subject's touches, by touched_at, texts and event_hash, is the one in its profile.
--   Events with copies that disagree are few; they are looked at apart, so that the others need no comparison.
CREATE OR REPLACE VIEW touches /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company: whose touch it is',
    subject_id String COMMENT 'Developer id, which may be a visitor''s, or company id',
    touched_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    texts String COMMENT 'Name, campaign and all else of it in one; of touches of one millisecond the smaller one is the earlier',
    event_hash UInt64 COMMENT 'Of the event: the same for all its copies; puts touches in order that are equal in both',
    name LowCardinality(String) COMMENT 'Name of the event: Ad Clicked, Page Viewed, Event Attended, ...',
    campaign LowCardinality(String) COMMENT 'Campaign (utm_campaign), empty if none',
    source LowCardinality(String) COMMENT 'Its source (utm_source)',
    medium LowCardinality(String) COMMENT 'Its medium (utm_medium)',
    term LowCardinality(String) COMMENT 'Its term (utm_term)',
    content LowCardinality(String) COMMENT 'Its content (utm_content)',
    referrer LowCardinality(String) COMMENT 'Host that led here, empty if none or one''s own',
    path String COMMENT 'Path of the page',
    segments Map(LowCardinality(String), String) COMMENT 'What the event itself says of segments, as technology',
    is_content Bool COMMENT 'The selector of touches matches it; else it is one by its campaign or referrer',
    developer_id String COMMENT 'Of whom: at level company one of its developers, or a visitor',
    company_id String COMMENT 'Company of the event, empty if none; at level company the subject',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the event carries; with message_id it finds the event',
    message_id String COMMENT 'The producer''s id of the event, or one made from its content',
    alias_hash UInt64 COMMENT 'Of alias_kind and alias, as in alias_owners: whoever names it in a condition spares reading the touches of other aliases'
)
COMMENT 'What brought developers and companies here, each touch once, by all that is known now'
AS
WITH
    automated AS (SELECT cityHash64(alias_kind, alias) FROM identity_rows FINAL WHERE is_bot),
    -- A value, not rows: it is found once, and while it is empty, which it mostly is, the second half of `counted` is not run at all.
    (
        SELECT groupArray(event_hash)
        FROM (SELECT event_hash FROM touch_rows WHERE is_touch GROUP BY event_hash HAVING min(content_hash) != max(content_hash))
    ) AS copied,
    owned AS
    (
        SELECT
            rows.*, owners.developer_id AS owner, owners.company_id AS owner_company_id,
            -- Only a user's events may carry a key besides their alias.
            if(rows.alias_kind = 'user_id', rows.api_key, '') AS other_key
        FROM (SELECT *, alias_hash FROM touch_rows FINAL WHERE is_touch) AS rows
        LEFT JOIN (SELECT alias_hash, from_ms, to_ms, is_shared, developer_id, company_id FROM alias_owners) AS owners
            ON rows.alias_hash = owners.alias_hash
        WHERE (NOT is_shared OR (rows.time >= from_ms AND rows.time < to_ms)) AND rows.alias_hash NOT IN automated
    ),
    resolved AS
    (
        SELECT
            multiIf(owner != '', owner, alias_kind = 'user_id', alias, concat(alias_kind, ':', alias)) AS developer_id,
            multiIf(owned.company_id != '', owned.company_id, key_company_id != '', key_company_id, owner_company_id) AS company_id,
            time, texts, event_hash, content_hash, name, campaign, source, medium, term, content, referrer, path, segments, is_content,
            alias_kind, alias, message_id, alias_hash
        FROM owned
        ANY LEFT JOIN
        (
            SELECT alias AS key_alias, company_id AS key_company_id
            FROM identity_rows FINAL
            WHERE alias_kind = 'api_key' AND company_id != ''
        ) AS keys ON other_key = key_alias
        WHERE developer_id NOT IN (SELECT id FROM profile_rows FINAL WHERE level = 'developer' AND (is_internal OR is_bot))
    ),
    subjects AS
    (
        SELECT subject.1 AS level, subject.2 AS subject_id, *
        FROM resolved
        ARRAY JOIN [('developer', developer_id), ('company', company_id)] AS subject
        WHERE subject_id != ''
            AND (level = 'developer' OR subject_id NOT IN (SELECT id FROM profile_rows FINAL WHERE level = 'company' AND is_internal))
    ),
    counted AS
    (
        SELECT * FROM subjects WHERE empty(copied) OR event_hash NOT IN copied
        UNION ALL
        SELECT * FROM subjects
        WHERE notEmpty(copied) AND event_hash IN copied
        ORDER BY time, texts, content_hash
        LIMIT 1 BY level, subject_id, event_hash
    )
SELECT
    level, subject_id, fromUnixTimestamp64Milli(time, 'UTC') AS touched_at, texts, event_hash, name, campaign, source, medium, term, content, referrer,
    path, segments, is_content, developer_id, company_id, alias_kind, alias, message_id, alias_hash
FROM counted;

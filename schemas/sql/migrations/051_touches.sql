-- Grain: one row for each touch of a developer, and one for each touch of a company, which are those of all its developers
--   and keys, and of the visitors whose events name it. Copies of an event count once, at their earliest time; of copies of
--   one time that disagree, the one with the smallest content counts. Internal and automated subjects are left out, and what
--   internal developers do is no touch of their company.
-- Key: (level, subject_id, event_hash).
-- Engine: a view over touches_of, where the joins are. Of one level ask that one: it spares half of the work. The first of a subject's
--   touches, by touched_at, texts and event_hash, is the one in its profile.
CREATE OR REPLACE VIEW touches /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company: whose touch it is',
    subject_id String COMMENT 'Developer id, which may be a visitor''s, or company id',
    subject_hash UInt64 COMMENT 'Of subject_id, cityHash64: a number, by which subjects are found and grouped faster',
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
    segments Map(LowCardinality(String), String) COMMENT 'Values of segments that the event itself carries, as technology',
    is_content Bool COMMENT 'The selector of touches matches it; else it is one by its campaign or referrer',
    developer_id String COMMENT 'Of whom: at level company one of its developers, or a visitor',
    company_id String COMMENT 'Company of the event, empty if none; at level company the subject',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the event carries; with message_id it finds the event',
    message_id String COMMENT 'The producer''s id of the event, or one made from its content',
    alias_hash UInt64 COMMENT 'Of alias_kind and alias: a condition on it spares reading the touches of other aliases'
)
COMMENT 'What brought developers and companies here, each touch once, by all that is known now'
AS SELECT
    level, subject_id, subject_hash, touched_at, texts, event_hash, name, campaign, source, medium, term, content, referrer,
    path, segments, is_content, developer_id, company_id, alias_kind, alias, message_id, alias_hash
FROM /* database */touches_of(level = '');

-- Grain: one row for each event of outreach: a talk, a tutorial, whatever the selector of outreach matches. Copies count once,
--   at their earliest time. The own organisation's count too: most outreach is its own.
-- Key: (alias_kind, alias, message_id).
-- Engine: a view over touch_rows, which looks at all copies: it takes the earliest one itself.
CREATE OR REPLACE VIEW outreach /* ON CLUSTER */
(
    held_at DateTime64(3, 'UTC') COMMENT 'When it happened',
    name LowCardinality(String) COMMENT 'What it was: Talk Given, Tutorial Published, ...',
    segments Map(LowCardinality(String), String) COMMENT 'What it was about, as technology',
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the event carries: who did it',
    message_id String COMMENT 'The producer''s id of the event, or one made from its content'
)
COMMENT 'What was done to be found: talks, tutorials, events, pieces of content'
AS SELECT
    fromUnixTimestamp64Milli(earliest.1, 'UTC') AS held_at, earliest.2 AS name, earliest.3 AS segments, alias_kind, alias, message_id
FROM
(
    SELECT
        alias_kind, alias, message_id,
        argMin((time, name, segments), (time, arraySort(CAST(segments, 'Array(Tuple(String, String))')), name)) AS earliest
    FROM touch_rows
    WHERE is_outreach
    GROUP BY alias_kind, alias, message_id
);

-- Grain: one row for each state that a subject's day in an environment had since the last merge. The view `activity` shows
--   one row an active hour.
-- Key: (level, environment, day, id): the days of a period lie together, which is how activity is read.
-- Engine: ReplacingMergeTree. The streams publish the whole day again when an hour is added or taken away, with a higher
--   version; a day without an hour has hours = 0.
-- Partitions: the years. The day is part of the key, so all states of a row lie in one partition, and FINAL reads each by
--   itself. A month each would make a hundred small parts of a batch that replays years.
CREATE TABLE IF NOT EXISTS activity_rows /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'token, developer or company',
    id String CODEC(ZSTD(1)) COMMENT 'Keyed hash of the API key, developer id or company id',
    environment LowCardinality(String) COMMENT 'production, test or development',
    day Date COMMENT 'UTC day',
    hours UInt32 COMMENT 'Bit i: active in the hour that starts at i o''clock',
    version UInt64 COMMENT 'Grows with each change of the day',
    -- What else is written to the topic by mistake is refused.
    CONSTRAINT is_a_row CHECK level != '' AND id != ''
)
ENGINE = /* Replicated */ReplacingMergeTree(version)
PARTITION BY toYear(day)
ORDER BY (level, environment, day, id)
COMMENT 'Hours with API use, with outdated states; read the view activity';

-- Grain: one row for each hour in which a subject used the API in an environment.
-- Key: (level, environment, hour, subject_id).
-- Engine: a view over activity_rows with FINAL. Name `day` beside `hour` in a condition on time: it is the order of the
--   rows, and spares reading the other days.
CREATE OR REPLACE VIEW activity /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'token, developer or company',
    subject_id String COMMENT 'Keyed hash of the API key, developer id or company id',
    environment LowCardinality(String) COMMENT 'production, test or development',
    day Date COMMENT 'UTC day of the hour',
    hour DateTime64(3, 'UTC')
        COMMENT 'Start of the hour. An hour includes its end and not its start: a call at 10:00:00.000 is of the hour that starts at 09:00'
)
COMMENT 'Who used the API in which hour'
AS SELECT level, id AS subject_id, environment, day, toDateTime64(day, 3, 'UTC') + toIntervalHour(hour_of_day) AS hour
FROM activity_rows FINAL
ARRAY JOIN bitPositionsToArray(hours) AS hour_of_day;

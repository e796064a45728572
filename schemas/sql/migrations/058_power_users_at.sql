-- Grain: one row for each developer or company that is a power user by a definition, as of a time:
--   SELECT * FROM power_users_at(at = '2026-05-13 10:00:00').
-- Key: (level, definition, subject_id).
-- Engine: a view with a parameter over activity_rows, profile_rows and the configured definitions. The time is the first full
--   hour at or after `at` (UTC); that of the latest event if it is empty.
-- Rules: counted are the UTC days with an hour of production use, as `activity` has it, of the last `of_days` days, the one that the
--   time lies in included as far as it has come; midnight itself is of the day that ends. Internal and automated subjects are left out.
CREATE OR REPLACE VIEW power_users_at /* ON CLUSTER */
AS
WITH
    (SELECT hours_since_1970 FROM /* database */hour_at(at = {at:String})) AS until_hour,
    intDiv(until_hour - 1, 24) AS today,
    powers AS
    (
        SELECT
            name, arrayJoin(JSONExtract(definition, 'levels', 'Array(String)')) AS at_level,
            JSONExtractUInt(definition, 'active_days') AS needed_days, JSONExtractUInt(definition, 'of_days') AS of_days
        FROM definitions
        WHERE section = 'power_users'
    ),
    days AS
    (
        SELECT level, id, toInt64(toUInt16(day)) AS since_1970
        FROM activity_rows FINAL
        WHERE environment = 'production' AND level IN ('developer', 'company')
            AND day <= toDate(greatest(0, today)) AND day > toDate(greatest(0, today - (SELECT max(of_days) FROM powers)))
            AND bitAnd(hours, toUInt32(bitShiftLeft(toUInt64(1), toUInt8(greatest(0, least(24, until_hour - 24 * since_1970)))) - 1)) != 0
    ),
    active AS
    (
        SELECT days.level AS level, name, id, of_days, count() AS active_days, max(since_1970) AS last_active_day
        FROM days
        INNER JOIN powers ON days.level = powers.at_level
        WHERE since_1970 > today - of_days
        GROUP BY level, name, id, of_days, needed_days
        HAVING active_days >= needed_days
    )
SELECT
    CAST(active.level, 'LowCardinality(String)') AS level,
    name AS definition,
    active.id AS subject_id,
    if(active.level = 'company', active.id, profiles.company_id) AS company_id,
    active_days,
    toUInt16(of_days) AS of_days,
    toDate(last_active_day) AS last_day
FROM active
INNER JOIN (SELECT level, id, company_id FROM profile_rows FINAL WHERE NOT is_internal AND NOT is_bot) AS profiles
    ON active.level = profiles.level AND active.id = profiles.id;

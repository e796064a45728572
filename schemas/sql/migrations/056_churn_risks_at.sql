-- Grain: one row for each developer or company that may be lost by a churn-risk definition, as of a time:
--   SELECT * FROM churn_risks_at(at = '2026-05-13 10:00:00').
-- Key: (level, definition, subject_id).
-- Engine: a view with a parameter over profile_rows, activity_rows and the configured definitions. The time is the first full
--   hour at or after `at` (UTC); that of the latest event if it is empty.
-- Rules: use is production use of the API by hour, as `activity` has it; what came later than the time does not exist yet.
--   * `no_use_within_hours` of a stage: entered, so many hours have passed, and no use since, the hour of the entry included. At
--     risk since these hours had passed. Use before the entry does not help; use that came late ends the risk.
--   * `no_use_for_days`: used once, but in no hour of the last so many times 24. At risk since these days had passed.
--   Developers are identified ones: of a visitor no use can be seen. Internal and automated subjects are left out.
CREATE OR REPLACE VIEW churn_risks_at /* ON CLUSTER */
AS
WITH
    (SELECT hours_since_1970 FROM /* database */hour_at(at = {at:String})) AS until_hour,
    risks AS
    (
        SELECT
            name, arrayJoin(JSONExtract(definition, 'levels', 'Array(String)')) AS at_level, JSONExtractString(definition, 'stage') AS stage,
            JSONExtractUInt(definition, 'no_use_within_hours') AS within_hours, 24 * JSONExtractUInt(definition, 'no_use_for_days') AS silent_hours
        FROM definitions
        WHERE section = 'churn_risks'
    ),
    -- The end of the hour of the latest use, in hours since 1970.
    uses AS
    (
        SELECT level AS of_level, id AS used_by, max(24 * toInt64(toUInt16(day)) + 1 + arrayMax(bitPositionsToArray(so_far))) AS last_hour
        FROM
        (
            SELECT
                level, id, day,
                bitAnd(hours, toUInt32(bitShiftLeft(toUInt64(1), toUInt8(least(24, until_hour - 24 * toInt64(toUInt16(day))))) - 1)) AS so_far
            FROM activity_rows FINAL
            WHERE environment = 'production' AND level IN ('developer', 'company') AND 24 * toInt64(toUInt16(day)) < until_hour
        )
        WHERE so_far != 0
        GROUP BY of_level, used_by
    ),
    subjects AS
    (
        SELECT
            level, id, if(level = 'company', id, company_id) AS company_id, name, within_hours, silent_hours,
            within_hours > 0 AS is_by_stage,
            toUnixTimestamp64Milli(stages[stage]) AS entered_ms,
            last_hour
        FROM (SELECT level, id, company_id, stages FROM profile_rows FINAL WHERE NOT is_internal AND NOT is_bot AND kind != 'visitor') AS profiles
        INNER JOIN risks ON profiles.level = risks.at_level
        LEFT JOIN uses ON profiles.level = uses.of_level AND profiles.id = uses.used_by
        WHERE if(is_by_stage,
            mapContains(stages, stage) AND entered_ms + within_hours * 3600000 <= until_hour * 3600000
                AND (last_hour = 0 OR last_hour * 3600000 < entered_ms),
            last_hour != 0 AND last_hour + silent_hours <= until_hour)
    )
SELECT
    CAST(level, 'LowCardinality(String)') AS level,
    name AS definition,
    id AS subject_id,
    company_id,
    fromUnixTimestamp64Milli(if(is_by_stage, entered_ms + toInt64(within_hours) * 3600000, (last_hour + toInt64(silent_hours)) * 3600000), 'UTC') AS at_risk_since,
    if(is_by_stage, fromUnixTimestamp64Milli(entered_ms, 'UTC'), NULL) AS entered_at,
    if(last_hour != 0, fromUnixTimestamp64Milli((last_hour - 1) * 3600000, 'UTC'), NULL) AS last_use_hour,
    intDiv(until_hour * 3600000 - if(is_by_stage, entered_ms, last_hour * 3600000), 86400000) AS days_silent
FROM subjects;

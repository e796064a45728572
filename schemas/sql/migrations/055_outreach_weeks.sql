-- Grain: one row for each week and value of a segment, with none left out between the first and the last week of any of them:
--   SELECT * FROM outreach_weeks(segment = 'technology', level = 'developer').
--   Weeks are those of `signups`: they include their end and not their start.
-- Key: (week, value).
-- Engine: a view with parameters. A sign-up has the value of the subject, outreach and touches that of the event itself.
--   Values that the configuration does not name are counted as other, as in rolling_counts, if it names any.
CREATE OR REPLACE VIEW outreach_weeks /* ON CLUSTER */
COMMENT 'Outreach, touches by content and sign-ups by week and value of a segment'
AS
WITH
    (
        SELECT groupArrayArray(JSONExtract(definition, 'values', 'Array(String)')) FROM definitions
        WHERE section = 'segments' AND name = {segment:String}
    ) AS configured,
    occurrences AS
    (
        SELECT toMonday(held_at - toIntervalMillisecond(1)) AS week, segments[{segment:String}] AS segment_value, 1 AS outreach, 0 AS touches, 0 AS signups
        FROM outreach
        UNION ALL
        SELECT toMonday(touched_at - toIntervalMillisecond(1)) AS week, segments[{segment:String}] AS segment_value, 0 AS outreach, 1 AS touches, 0 AS signups
        FROM /* database */touches_of(level = {level:String}) AS touches
        WHERE is_content AND level = {level:String}
        UNION ALL
        SELECT toMonday(stages['signup'] - toIntervalMillisecond(1)) AS week, segments[{segment:String}] AS segment_value, 0 AS outreach, 0 AS touches, 1 AS signups
        FROM profile_rows FINAL
        WHERE level = {level:String} AND NOT is_internal AND NOT is_bot AND mapContains(stages, 'signup')
    ),
    counted AS
    (
        SELECT
            if(empty(configured) OR segment_value = '' OR has(configured, segment_value), segment_value, 'other') AS value, week,
            sum(occurrences.outreach) AS outreach, sum(occurrences.touches) AS touches, sum(occurrences.signups) AS signups
        FROM occurrences
        GROUP BY value, week
    ),
    series AS
    (
        SELECT
            value, groupArray((week, counted.outreach, counted.touches, counted.signups)) AS points,
            min(min(week)) OVER () AS since, max(max(week)) OVER () AS until
        FROM counted
        GROUP BY value
    )
SELECT
    since + 7 * number AS week, value, point.2 AS outreach, point.3 AS touches, point.4 AS signups
FROM
(
    SELECT value, since, number, arrayFirst(each -> each.1 = since + 7 * number, points) AS point
    FROM series
    ARRAY JOIN range(toUInt32(1 + intDiv(until - since, 7))) AS number
);

-- Grain: one row for each ISO week of UTC in which a subject used the API in production. Without the own organisation.
--   Like every hour, a week includes its end and not its start: a call on Monday at 00:00:00.000 is of the week that ends
--   then. So the rows of a week are its active developers and companies in rolling_counts.
-- Key: (level, week, subject_id).
-- Engine: a view over activity_rows with FINAL, and over `subjects`. Of visitors no use is kept: it is a token's until someone is
--   known behind it.
CREATE OR REPLACE VIEW weekly_use /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    subject_id String COMMENT 'Developer id or company id',
    company_id String COMMENT 'Company of the subject: of a developer its company, empty if none; of a company itself',
    week Date COMMENT 'Monday with which the week begins',
    active_days UInt64 COMMENT 'UTC days of the week with use',
    active_hours UInt64 COMMENT 'Hours of the week with use',
    signup_week Nullable(Date) COMMENT 'Monday with which the week of the sign-up begins, as in signups; NULL: never signed up',
    weeks_since_signup Nullable(Int32) COMMENT '0 in the week of the sign-up, negative before it',
    stages Map(LowCardinality(String), DateTime64(3, 'UTC')) COMMENT 'Time of entry of each stage that the subject entered',
    segments Map(LowCardinality(String), String) COMMENT 'Value by segment, as in subjects'
)
COMMENT 'Who used the API in production in which week: the rows under retention and weekly active developers and companies'
AS SELECT
    level, subject_id, company_id, week, active_days, active_hours,
    if(mapContains(stages, 'signup'), toMonday(stages['signup'] - toIntervalMillisecond(1)), NULL) AS signup_week,
    intDiv(dateDiff('day', signup_week, week), 7) AS weeks_since_signup,
    stages, segments
FROM
(
    SELECT level AS of_level, id, toMonday(day) AS week, count() AS active_days, sum(bitCount(hours)) AS active_hours
    FROM activity_rows FINAL
    WHERE level IN ('developer', 'company') AND environment = 'production' AND hours != 0
    GROUP BY level, id, week
) AS used
INNER JOIN (SELECT * FROM subjects WHERE kind != 'visitor') AS known ON known.level = used.of_level AND known.subject_id = used.id;

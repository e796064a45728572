-- Grain: one row a subject that signed up: entered the stage `signup`.
--   Time to first call is the first successful call minus sign-up, as it is: negative if the call came first (with a key
--   that was handed out earlier).
--   A week is an ISO week of UTC, and like every hour it includes its end and not its start: a sign-up on Monday at
--   00:00:00.000 is of the week that ends then. So the cohorts of a week are its sign-ups in rolling_counts.
-- Key: (level, subject_id).
-- Engine: a view over `subjects`.
CREATE OR REPLACE VIEW signups /* ON CLUSTER */
(
    level LowCardinality(String) COMMENT 'developer or company',
    subject_id String COMMENT 'Developer id or company id',
    kind LowCardinality(String) COMMENT 'user, visitor or company',
    company_id String COMMENT 'Company of the subject: of a developer its company, empty if none; of a company itself',
    signup_at DateTime64(3, 'UTC') COMMENT 'When it signed up first',
    signup_week Date COMMENT 'Monday with which the week of the sign-up begins: its cohort',
    first_call_at Nullable(DateTime64(3, 'UTC')) COMMENT 'First successful API call: entry of the stage first_call',
    time_to_first_call_seconds Nullable(Float64) COMMENT 'From sign-up to the first successful API call; negative if the call came first',
    activations Map(LowCardinality(String), DateTime64(3, 'UTC'))
        COMMENT 'By activation definition: when it was reached, if it was within its span',
    last_active Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest event that matters for any number',
    segments Map(LowCardinality(String), String) COMMENT 'Value by segment, as in subjects'
)
COMMENT 'Who signed up when, and how soon the first call followed: the members of the weekly cohorts'
AS SELECT
    level, subject_id, kind, company_id,
    stages['signup'] AS signup_at,
    toMonday(signup_at - toIntervalMillisecond(1)) AS signup_week,
    if(mapContains(stages, 'first_call'), stages['first_call'], NULL) AS first_call_at,
    dateDiff('millisecond', signup_at, first_call_at) / 1000 AS time_to_first_call_seconds,
    activations, last_active, segments
FROM subjects
WHERE mapContains(stages, 'signup');

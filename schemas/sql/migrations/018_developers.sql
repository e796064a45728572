-- Grain: one row a developer: a user (by canonical id), or a visitor that no one is known behind.
-- Key: id.
-- Engine: a view over profile_rows with FINAL, so that a developer shows its current state only.
CREATE OR REPLACE VIEW developers /* ON CLUSTER */
(
    id String COMMENT 'Canonical user id, or <alias kind>:<alias> of a visitor',
    kind LowCardinality(String) COMMENT 'user, or visitor: an alias that no one is known behind',
    company_id String COMMENT 'Company it belongs to, empty if none is known',
    first_seen Nullable(DateTime64(3, 'UTC')) COMMENT 'Earliest event that matters for any number; none matters: NULL',
    last_active Nullable(DateTime64(3, 'UTC')) COMMENT 'Latest such event',
    visit_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Stage visit: first page seen',
    docs_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Stage docs: first page of the documentation seen',
    signup_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Stage signup: signed up',
    key_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Stage key: first API key created',
    first_call_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Stage first_call: first successful API call',
    activated_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Stage activated: the activation definition of this stage and level reached',
    paying_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Stage paying: first payment',
    advocate_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Stage advocate: first invitation, referral or integration',
    time_to_first_call_seconds Nullable(Float64)
        COMMENT 'From sign-up to the first successful API call; negative if the call came first',
    stages Map(LowCardinality(String), DateTime64(3, 'UTC'))
        COMMENT 'Time of entry of each stage that was entered; holds stages of one''s own configuration too',
    first_touch_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Earliest touch: campaign, referrer from elsewhere, content, invitation',
    first_touch_campaign String COMMENT 'Campaign of the earliest touch (utm_campaign), empty if none',
    first_touch_source String COMMENT 'Its source (utm_source)',
    first_touch_medium String COMMENT 'Its medium (utm_medium)',
    first_touch_term String COMMENT 'Its term (utm_term)',
    first_touch_content String COMMENT 'Its content (utm_content)',
    first_touch_referrer String COMMENT 'Its referrer',
    first_touch_path String COMMENT 'Path of the page it led to',
    first_touch_name String COMMENT 'Name of the event it was',
    segments Map(LowCardinality(String), String)
        COMMENT 'Value of each configured segment, as segments[''technology'']; none where there is none',
    is_internal Bool COMMENT 'Belongs to the own organisation: counts for nothing',
    is_bot Bool COMMENT 'Automated traffic: counts for nothing'
)
COMMENT 'Developers, visitors included: when each was where on the way to activation'
AS SELECT
    id, kind, company_id, first_seen, last_active,
    if(mapContains(stages, 'visit'), stages['visit'], NULL) AS visit_at,
    if(mapContains(stages, 'docs'), stages['docs'], NULL) AS docs_at,
    if(mapContains(stages, 'signup'), stages['signup'], NULL) AS signup_at,
    if(mapContains(stages, 'key'), stages['key'], NULL) AS key_at,
    if(mapContains(stages, 'first_call'), stages['first_call'], NULL) AS first_call_at,
    if(mapContains(stages, 'activated'), stages['activated'], NULL) AS activated_at,
    if(mapContains(stages, 'paying'), stages['paying'], NULL) AS paying_at,
    if(mapContains(stages, 'advocate'), stages['advocate'], NULL) AS advocate_at,
    dateDiff('millisecond', signup_at, first_call_at) / 1000 AS time_to_first_call_seconds,
    stages,
    first_touch_at,
    first_touch['campaign'] AS first_touch_campaign,
    first_touch['source'] AS first_touch_source,
    first_touch['medium'] AS first_touch_medium,
    first_touch['term'] AS first_touch_term,
    first_touch['content'] AS first_touch_content,
    first_touch['referrer'] AS first_touch_referrer,
    first_touch['path'] AS first_touch_path,
    first_touch['name'] AS first_touch_name,
    segments,
    is_internal, is_bot
FROM profile_rows FINAL
WHERE level = 'developer';

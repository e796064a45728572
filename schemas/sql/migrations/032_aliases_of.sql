-- Grain: one row for each alias that may have events of a company or developer: SELECT * FROM aliases_of(company = 'acme', developer = '').
--   With both it is those of either. A shared device is here for each of its developers: only `events_resolved` and the views beside
--   it decide whose an event is.
-- Key: alias_hash.
-- Engine: a view with parameters over identity_rows and seen_together: what to ask for first, so that only the rows of these aliases
--   are read. What leads there is looked for first, then sessions of devices that do, then aliases whose events carry any of these.
CREATE OR REPLACE VIEW aliases_of /* ON CLUSTER */
AS
WITH
    users AS
    (
        SELECT {developer:String} AS user
        UNION DISTINCT
        SELECT user_id AS user FROM canonical_users
        WHERE developer_id = {developer:String} OR (company_id != '' AND company_id = {company:String})
    ),
    leading AS
    (
        SELECT 'user_id' AS alias_kind, user AS alias FROM users
        UNION ALL
        SELECT alias_kind, alias FROM identity_rows FINAL ARRAY JOIN developer_ids AS user
        WHERE alias_kind != 'user_id' AND user IN (SELECT user FROM users)
        UNION ALL
        SELECT alias_kind, alias FROM identity_rows FINAL
        WHERE alias_kind = 'api_key' AND company_id != '' AND company_id = {company:String}
        UNION ALL
        -- A visitor: an alias that leads to nobody.
        SELECT
            substring({developer:String}, 1, position({developer:String}, ':') - 1) AS alias_kind,
            substring({developer:String}, position({developer:String}, ':') + 1) AS alias
    ),
    leading_hashes AS (SELECT cityHash64(alias_kind, alias) AS hash FROM leading WHERE alias != '' AND alias_kind IN ('session_token', 'anonymous_id')),
    web_hashes AS
    (
        SELECT hash FROM leading_hashes
        UNION ALL
        SELECT alias_hash AS hash FROM web_aliases WHERE alias_kind = 'session_token' AND of_device_hash IN (SELECT hash FROM leading_hashes)
    ),
    key_hashes AS (SELECT cityHash64('api_key', alias) FROM identity_rows FINAL WHERE alias_kind = 'api_key' AND company_id != '' AND company_id = {company:String})
SELECT DISTINCT CAST(alias_kind, 'LowCardinality(String)') AS alias_kind, alias, cityHash64(alias_kind, alias) AS alias_hash
FROM
(
    SELECT alias_kind, alias FROM leading WHERE alias != ''
    UNION ALL
    SELECT alias_kind, alias FROM seen_together
    WHERE session_hash IN (SELECT hash FROM web_hashes) OR device_hash IN (SELECT hash FROM web_hashes)
        OR key_hash IN (SELECT * FROM key_hashes) OR (company_id != '' AND company_id = {company:String})
);

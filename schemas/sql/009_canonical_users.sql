-- Grain: one row for each user id that leads to another id, or to a company. A user id that is not here is its own
--   developer and belongs to no company.
-- Key: user_id.
-- Engine: a view over identity_rows with FINAL. The company is told only of canonical ids, so a merged id takes it from the
--   row of its canonical id; that join has the few merged ids on its left and just their canonical ids on its right.
CREATE OR REPLACE VIEW canonical_users /* ON CLUSTER */
(
    user_id String COMMENT 'A user id as events carry it',
    developer_id String COMMENT 'The canonical user id that it leads to; itself if it was not merged',
    company_id String COMMENT 'Company of the developer, empty if none'
)
COMMENT 'User id to developer and company'
AS
WITH
    users AS
    (
        SELECT alias, developer_ids[1] AS target, company_id
        FROM identity_rows FINAL
        WHERE alias_kind = 'user_id'
    ),
    merged AS (SELECT alias, target FROM users WHERE target NOT IN ('', alias))
SELECT alias AS user_id, alias AS developer_id, company_id
FROM users
WHERE target IN ('', alias) AND company_id != ''
UNION ALL
SELECT merged.alias AS user_id, merged.target AS developer_id, owners.company_id AS company_id
FROM merged
ANY LEFT JOIN (SELECT alias, company_id FROM users WHERE alias IN (SELECT target FROM merged)) AS owners
    ON merged.target = owners.alias;

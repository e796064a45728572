-- Grain: one row for each user id that leads to another id, or to a company. A user id that is not here is its own
--   developer and belongs to no company.
-- Key: user_id.
-- Engine: a view over identity_rows with FINAL. Only canonical ids have a company, so the ids that lead to one share its company.
CREATE OR REPLACE VIEW canonical_users /* ON CLUSTER */
(
    user_id String COMMENT 'A user id as events carry it',
    developer_id String COMMENT 'The canonical user id that it leads to; itself if it was not merged',
    company_id String COMMENT 'Company of the developer, empty if none'
)
COMMENT 'User id to developer and company'
AS
SELECT arrayJoin(user_ids) AS user_id, developer_id, company_id
FROM
(
    SELECT
        if(developer_ids[1] = '', alias, developer_ids[1]) AS developer_id,
        groupArray(alias) AS user_ids,
        maxIf(company_id, alias = developer_id) AS company_id
    FROM identity_rows FINAL
    WHERE alias_kind = 'user_id'
    GROUP BY developer_id
)
WHERE company_id != '' OR user_id != developer_id;

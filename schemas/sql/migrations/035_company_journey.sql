-- Grain: one row an event of one company, as in `events_resolved`: SELECT * FROM company_journey(company = 'acme') ORDER BY time.
-- Key: as of `events`.
-- Engine: a view with a parameter. It first finds the aliases that lead to the company, by its users, by its keys, or because
--   some of their events name it or carry one of its keys (as counted by day, so seconds ago), and reads only their events;
--   which of these are the company's is then decided as always. Where they lie, and which they are, is found as in `journey`. Those of a
--   company with thousands of aliases lie everywhere: ask for a period by `time`.
CREATE OR REPLACE VIEW company_journey /* ON CLUSTER */
AS
WITH
    users AS (SELECT user_id FROM canonical_users WHERE company_id = {company:String}),
    keys AS (SELECT api_key AS alias FROM api_keys WHERE company_id = {company:String}),
    aliases AS
    (
        SELECT 'user_id' AS alias_kind, user_id AS alias FROM users
        UNION ALL
        SELECT 'api_key' AS alias_kind, alias FROM keys
        UNION ALL
        SELECT alias_kind, alias
        FROM identity_rows FINAL
        ARRAY JOIN developer_ids AS user
        WHERE alias_kind != 'user_id' AND user IN (SELECT user_id FROM users)
        UNION ALL
        SELECT DISTINCT alias_kind, alias FROM usage_rows WHERE company_id = {company:String}
        UNION ALL
        SELECT DISTINCT alias_kind, alias FROM usage_rows WHERE has_other_key AND api_key IN (SELECT alias FROM keys)
    ),
    (SELECT groupUniqArray((alias_kind, alias)) FROM aliases WHERE {company:String} != '') AS found
SELECT * FROM events_resolved
WHERE indexHint((alias_kind, alias) IN (SELECT one.1, one.2 FROM (SELECT arrayJoin(found) AS one)))
    AND alias_hash IN (SELECT cityHash64(one.1, one.2) FROM (SELECT arrayJoin(found) AS one))
    AND company_id = {company:String}
SETTINGS optimize_move_to_prewhere_if_final = 1;

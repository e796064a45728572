-- Grain: one row for each parent of an alias, with the time from which on it holds.
-- Key: (alias_kind, alias, level, from_time).
-- Engine: a view over identity_rows with FINAL, so that an alias shows its current state only.
CREATE OR REPLACE VIEW identities /* ON CLUSTER */
(
    alias_kind LowCardinality(String) COMMENT 'user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The identifier; of an API key its keyed hash in hex',
    level LowCardinality(String) COMMENT 'developer, company or device: what the parent is',
    parent String
        COMMENT 'A company id at level company, an anonymous id at level device. At level developer a user id, of a user_id the canonical one; a user id without a row is canonical itself',
    from_time DateTime64(3, 'UTC')
        COMMENT 'From when on events of the alias belong to the parent; events before the first such time belong to the first parent'
)
COMMENT 'Alias to developer, company and device, by time'
AS
SELECT alias_kind, alias, 'developer' AS level, parent, from_time
FROM identity_rows FINAL
ARRAY JOIN developer_ids AS parent, developer_from AS from_time
UNION ALL
SELECT alias_kind, alias, 'company' AS level, company_id AS parent, company_from AS from_time
FROM identity_rows FINAL
WHERE alias_kind != 'user_id' AND company_id != ''
UNION ALL
SELECT alias_kind, alias, 'device' AS level, device_id AS parent, device_from AS from_time
FROM identity_rows FINAL
WHERE device_id != ''
UNION ALL
SELECT 'user_id' AS alias_kind, user_id AS alias, 'company' AS level, company_id AS parent, toDateTime64(0, 3, 'UTC') AS from_time
FROM canonical_users
WHERE company_id != '';

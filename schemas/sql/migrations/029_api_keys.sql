-- Grain: one row for each API key that leads to a developer or company, or that is the newer hash of a key.
-- Key: api_key.
-- Engine: a view over identity_rows with FINAL. The first owner of a key has its whole history.
CREATE OR REPLACE VIEW api_keys /* ON CLUSTER */
(
    api_key String COMMENT 'Keyed hash of the API key in hex',
    key_hash UInt64 COMMENT 'Of it, as in event_rows: a number, by which joins are faster than by texts',
    developer_id String COMMENT 'Canonical user id of its owner, empty if none is known',
    company_id String COMMENT 'Company of the key itself, empty if none is known',
    developer_company_id String COMMENT 'Company of its owner, empty if none is known',
    token String COMMENT 'Its hash under the oldest secret, by which it is one token'
)
COMMENT 'API key to developer, company and token'
AS SELECT
    alias AS api_key, cityHash64('api_key', alias) AS key_hash, if(users.developer_id != '', users.developer_id, owner) AS developer_id,
    keys.company_id AS company_id, users.company_id AS developer_company_id, if(first_hash != '', first_hash, alias) AS token
FROM
(
    -- A newer hash without an owner leads to the visitor of the oldest one, which is no user.
    SELECT alias, first_hash, company_id, if(startsWith(developer_ids[1], 'api_key:'), '', developer_ids[1]) AS owner
    FROM identity_rows FINAL
    WHERE alias_kind = 'api_key'
) AS keys
ANY LEFT JOIN canonical_users AS users ON keys.owner = users.user_id;

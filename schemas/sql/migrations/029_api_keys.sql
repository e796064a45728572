-- Grain: one row for each API key that leads to a developer or company, or that is the newer hash of a key.
-- Key: api_key.
-- Engine: a view over identity_rows with FINAL. Events that carry a key beside a user id are joined with it.
CREATE OR REPLACE VIEW api_keys /* ON CLUSTER */
(
    api_key String COMMENT 'Keyed hash of the API key in hex',
    company_id String COMMENT 'Company of the key, empty if none is known',
    token String COMMENT 'Its hash under the oldest secret, by which it is one token'
)
COMMENT 'API key to company and token'
AS SELECT alias AS api_key, company_id, if(first_hash != '', first_hash, alias) AS token
FROM identity_rows FINAL
WHERE alias_kind = 'api_key';

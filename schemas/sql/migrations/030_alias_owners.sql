-- Grain: one row for each part of time in which an alias has one owner. An alias that is not here stands for itself.
-- Key: (alias_kind, alias, from_ms).
-- Engine: a view over identity_rows with FINAL: the two hops of `events_resolved`, alias to user and user to canonical id, as
--   one table that counts can be joined with.
CREATE OR REPLACE VIEW alias_owners /* ON CLUSTER */
(
    alias_kind LowCardinality(String) COMMENT 'user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The identifier; of an API key its keyed hash in hex',
    alias_hash UInt64 COMMENT 'Of alias_kind and alias: a number, by which joins are faster than by texts',
    from_ms Int64 COMMENT 'From when on, milliseconds since 1970 UTC; of the first part since ever',
    to_ms Int64 COMMENT 'Until when, this moment left out; of the last part for ever',
    is_shared Bool COMMENT 'The alias has several parts',
    developer_id String COMMENT 'Canonical user id, empty if only a company is known',
    company_id String COMMENT 'Of an api_key its own company, else that of the developer; empty if none',
    token_hash UInt64 COMMENT 'Of an api_key the alias_hash of its keyed hash under the oldest secret, by which it is one token; else 0'
)
COMMENT 'Alias to developer and company, with the time in which it holds'
AS
WITH
    -9223372036854775808 AS ever,
    9223372036854775807 AS forever,
    parts AS
    (
        SELECT
            alias_kind, alias, if(alias_kind = 'api_key', company_id, '') AS own_company_id,
            if(alias_kind = 'user_id', alias, developer_ids[1]) AS user, ever AS from_ms, forever AS to_ms, false AS is_shared,
            if(alias_kind = 'api_key', cityHash64(alias_kind, if(first_hash != '', first_hash, alias)), 0) AS token_hash
        FROM identity_rows FINAL
        WHERE alias_kind IN ('user_id', 'api_key') OR length(developer_ids) < 2
        UNION ALL
        SELECT alias_kind, alias, '' AS own_company_id, user, from_ms, to_ms, true AS is_shared, 0 AS token_hash
        FROM
        (
            SELECT alias_kind, alias, developer_ids, arrayMap(time -> toUnixTimestamp64Milli(time), arraySlice(developer_from, 2)) AS later
            FROM identity_rows FINAL
            WHERE alias_kind IN ('session_token', 'anonymous_id') AND length(developer_ids) > 1
        )
        ARRAY JOIN
            developer_ids AS user,
            arrayConcat([ever], later) AS from_ms,
            arrayConcat(later, [forever]) AS to_ms
    )
SELECT
    alias_kind, alias, cityHash64(alias_kind, alias) AS alias_hash, from_ms, to_ms, is_shared,
    if(users.developer_id != '', users.developer_id, user) AS developer_id,
    if(own_company_id != '', own_company_id, users.company_id) AS company_id,
    token_hash
FROM parts
ANY LEFT JOIN canonical_users AS users ON parts.user = users.user_id;

-- Grain: one row or more for each alias and what its events carry besides.
-- Key: none: rows repeat each other.
-- Engine: a view over usage_rows, and over those event_rows that are not counted there yet. It is exact at any time, and may hold what
--   was deleted or displaced lately: it shows which aliases to read, not whose they are.
CREATE OR REPLACE VIEW seen_together /* ON CLUSTER */
(
    alias_kind LowCardinality(String) COMMENT 'Which identifier is the alias: user_id, api_key, session_token or anonymous_id',
    alias String COMMENT 'The strongest identifier the events carry',
    key_hash UInt64 COMMENT 'Of their API key, as in api_keys; 0 if they have none',
    session_hash UInt64 COMMENT 'Of their session token, as in web_aliases; 0 if they have none or name a user',
    device_hash UInt64 COMMENT 'The same of their anonymous id',
    company_id String COMMENT 'Company as the producer knew it, empty if not given'
)
COMMENT 'Which identifiers events carry besides their alias'
AS
WITH
    -- A row becomes visible minutes after its timestamp at the most.
    (SELECT toDateTime(greatest(0, toInt64(toUnixTimestamp(argMax(reconciled_at, number))) - 900), 'UTC') FROM reconciliation_rows) AS counted_until
SELECT alias_kind, alias, key_hash, session_hash, device_hash, company_id
FROM usage_rows
UNION ALL
SELECT alias_kind, alias, key_hash, session_hash, device_hash, company_id
FROM event_rows
WHERE inserted_at >= counted_until;

-- Grain: one row for each level and trailing window (hour - window_hours, hour] that ends at an hour of one's own:
--   SELECT * FROM concentration_at(at = '2026-05-13 10:00:00'). A window without calls has no row. The columns are those of `concentration`.
-- Key: (level, window_hours).
-- Engine: a view with a parameter over usage_rows, of which it reads 29 days. The hour is the first full one at or after `at`
--   (UTC); that of the latest event if it is empty.
-- Rules: those of `concentration`.
CREATE OR REPLACE VIEW concentration_at /* ON CLUSTER */
AS
WITH
    (SELECT hours_since_1970 FROM /* database */hour_at(at = {at:String})) AS until_hour,
    calls AS
    (
        SELECT
            alias_kind, alias, any(alias_hash) AS alias_hash, api_key, company_id,
            sum(arraySum((hour, uses) -> if(hour <= ends AND hour > ends - 24, uses, 0), mapKeys(hours), mapValues(hours))) AS of_day,
            sum(arraySum((hour, uses) -> if(hour <= ends AND hour > ends - 168, uses, 0), mapKeys(hours), mapValues(hours))) AS of_week,
            sum(arraySum((hour, uses) -> if(hour <= ends AND hour > ends - 672, uses, 0), mapKeys(hours), mapValues(hours))) AS of_month
        FROM (SELECT *, alias_hash, assumeNotNull(until_hour) - 24 * toInt64(toUInt16(day)) AS ends FROM usage_rows FINAL)
        WHERE api_key != '' AND environment = 'production' AND type = 'event' AND NOT is_bot AND notEmpty(hours)
            AND day <= toDate(intDiv(until_hour, 24)) AND day >= toDate(greatest(0, intDiv(until_hour, 24) - 28))
        GROUP BY alias_kind, alias, api_key, company_id
    ),
    -- Whose a key's calls are does not depend on when they were, so they are added up first.
    owned AS
    (
        SELECT
            if(key_token != '', key_token, api_key) AS token,
            multiIf(company_id != '', company_id, key_company_id != '', key_company_id, owner_company_id) AS company,
            if(company IN (SELECT id FROM companies WHERE is_internal), '', company) AS counted_company,
            of_day, of_week, of_month
        FROM calls
        ANY LEFT JOIN
        (
            SELECT alias_hash AS owner_hash, developer_id AS owner, company_id AS owner_company_id
            FROM alias_owners WHERE alias_kind IN ('user_id', 'api_key')
        ) AS owners ON alias_hash = owner_hash
        ANY LEFT JOIN
        (SELECT api_key AS key_alias, company_id AS key_company_id, token AS key_token FROM api_keys) AS keys ON api_key = key_alias
        WHERE multiIf(owner != '', owner, alias_kind = 'user_id', alias, concat(alias_kind, ':', alias))
            NOT IN (SELECT id FROM developers WHERE is_internal)
    ),
    by_subject AS
    (
        SELECT subject.1 AS level, subject.2 AS id, in_window.1 AS window_hours, sum(in_window.2) AS made
        FROM owned
        ARRAY JOIN [('company', counted_company), ('token', token)] AS subject
        ARRAY JOIN [(24, of_day), (168, of_week), (672, of_month)] AS in_window
        WHERE id != '' AND in_window.2 > 0
        GROUP BY level, id, window_hours
    )
SELECT
    toDateTime64(assumeNotNull(until_hour) * 3600, 3, 'UTC') AS hour,
    CAST(level, 'LowCardinality(String)') AS level,
    CAST(window_hours, 'UInt16') AS window_hours,
    sum(made) AS calls,
    count() AS subjects,
    argMax(id, (made, id)) AS largest,
    max(made) AS largest_calls,
    largest_calls / calls AS largest_share,
    sum(toUInt128(made) * made) / pow(calls, 2) AS herfindahl
FROM by_subject
GROUP BY level, window_hours;

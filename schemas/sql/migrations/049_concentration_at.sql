-- Grain: one row for each level and trailing window (hour - window_hours, hour] that ends at an hour of one's own:
--   SELECT * FROM concentration_at(at = '2026-05-13 10:00:00'). A window without calls has no row. The columns are those of `concentration`.
-- Key: (level, window_hours).
-- Engine: a view with a parameter over api_usage, of which it reads 29 days. The hour is the first full one at or after `at`
--   (UTC); that of the latest event if it is empty.
-- Rules: those of `concentration`.
CREATE OR REPLACE VIEW concentration_at /* ON CLUSTER */
AS
WITH
    (SELECT hours_since_1970 FROM /* database */hour_at(at = {at:String})) AS until_hour,
    calls AS
    (
        SELECT
            api_key, company_id,
            sum(arraySum((hour, uses) -> if(hour <= ends AND hour > ends - 24, uses, 0), mapKeys(hours), mapValues(hours))) AS of_day,
            sum(arraySum((hour, uses) -> if(hour <= ends AND hour > ends - 168, uses, 0), mapKeys(hours), mapValues(hours))) AS of_week,
            sum(arraySum((hour, uses) -> if(hour <= ends AND hour > ends - 672, uses, 0), mapKeys(hours), mapValues(hours))) AS of_month
        FROM (SELECT *, assumeNotNull(until_hour) - 24 * toInt64(toUInt16(day)) AS ends FROM api_usage)
        WHERE environment = 'production' AND type = 'event' AND NOT is_bot AND notEmpty(hours)
            AND day <= toDate(intDiv(until_hour, 24)) AND day >= toDate(greatest(0, intDiv(until_hour, 24) - 28))
            AND developer_hash NOT IN (SELECT cityHash64(id) FROM developers WHERE is_internal)
        GROUP BY api_key, company_id
    ),
    owned AS
    (
        SELECT
            if(token != '', token, calls.api_key) AS key_token,
            if(company_id IN (SELECT id FROM companies WHERE is_internal), '', company_id) AS counted_company,
            of_day, of_week, of_month
        FROM calls
        ANY LEFT JOIN (SELECT api_key, token FROM api_keys) AS keys ON calls.api_key = keys.api_key
    ),
    by_subject AS
    (
        SELECT subject.1 AS level, subject.2 AS id, in_window.1 AS window_hours, sum(in_window.2) AS made
        FROM owned
        ARRAY JOIN [('company', counted_company), ('token', key_token)] AS subject
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

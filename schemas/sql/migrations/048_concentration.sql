-- Grain: one row for each UTC midnight up to the first one at or after the latest event, level and trailing window
--   (hour - window_hours, hour]. Any other hour: `concentration_at`. A window without calls has no row.
-- Key: (hour, level, window_hours).
-- Engine: a view over usage_rows. The midnights of a key are laid out in an array, so that a window is the difference of two running sums.
-- Rules: counted are the calls that carry a key and match the configured selector `usage`, in production, without those of bots and
--   of internal developers. A token is a key's hash under the oldest secret. At level company the calls are those of a known company
--   that is not internal, at level token all. Shares are of these calls, and add up to 1. The Herfindahl index is the sum of the squared
--   shares: 1 if one makes all calls, 1/n if n make equally many. Of several largest ones the last in the order of ids is named.
CREATE OR REPLACE VIEW concentration /* ON CLUSTER */
(
    hour DateTime64(3, 'UTC') COMMENT 'End of the window, which includes it: a UTC midnight',
    level LowCardinality(String) COMMENT 'company, or token: an app by its API key',
    window_hours UInt16 COMMENT 'Length of the window: 24, 168 or 672',
    calls UInt64 COMMENT 'Production calls that count',
    subjects UInt64 COMMENT 'How many companies or tokens made them',
    largest String COMMENT 'Which one made the most',
    largest_calls UInt64 COMMENT 'How many that one made',
    largest_share Float64 COMMENT 'largest_calls / calls',
    herfindahl Float64 COMMENT 'Sum of the squared shares of all'
)
COMMENT 'Whether one company or app makes most of the production calls, day by day'
AS
WITH
    -- In days since 1970.
    (SELECT intDiv(ifNull(toUnixTimestamp64Milli(max(last_active)), 0) + 86399999, 86400000) FROM developers) AS last_midnight,
    -- Those midnights that a window with calls can end at: of each day with events its own and the 28 after it. What is left out between
    -- them has no calls, and before it lie 27 places without any at least, so the places of a window hold its calls and no others. One event
    -- of another century costs 29 places more, not all days since.
    (
        SELECT arraySort(groupUniqArray(midnight))
        FROM (SELECT DISTINCT toUInt32(toUInt16(day)) AS day FROM usage_rows)
        ARRAY JOIN range(day, day + 29) AS midnight
        WHERE midnight <= assumeNotNull(last_midnight)
    ) AS midnights,
    assumeNotNull(toUInt32(length(midnights))) AS all_midnights,
    calls AS
    (
        SELECT
            any(rows.alias_hash) AS alias_hash, any(rows.own_developer_hash) AS own_developer_hash, any(rows.api_key) AS api_key,
            any(rows.company_id) AS company_id,
            -- An element for each midnight.
            arrayMap(
                (before, at) -> before + at,
                sumResample(1, all_midnights + 1, 1)(uses, transform(since_1970 + 1, midnights, arrayEnumerate(midnights), 0)),
                sumResample(1, all_midnights + 1, 1)(uses_at_midnight, transform(since_1970, midnights, arrayEnumerate(midnights), 0))) AS each_day
        FROM
        (
            SELECT
                counted_hash, alias_hash, own_developer_hash, api_key, company_id, uses, uses_at_midnight,
                toUInt32(toUInt16(day)) AS since_1970, environment, type, is_bot
            FROM usage_rows FINAL
            WHERE NOT has_web_alias OR key_hash IN (SELECT key_hash FROM api_keys WHERE developer_id != '')
            UNION ALL
            -- What belongs by session or device has its developer and company already, as if it carried them.
            SELECT
                sipHash64(developer_id, api_key, company_id) AS counted_hash, 0 AS alias_hash, cityHash64(developer_id) AS own_developer_hash,
                api_key, company_id, toUInt32(arraySum(mapValues(hours)) - hours[0]) AS uses, hours[0] AS uses_at_midnight,
                toUInt32(toUInt16(day)) AS since_1970, environment, type, is_bot
            FROM web_usage
            WHERE api_key != ''
        ) AS rows
        WHERE uses + uses_at_midnight > 0 AND environment = 'production' AND type = 'event' AND NOT is_bot
        GROUP BY counted_hash
    ),
    -- Whose a key's calls are does not depend on when they were, so they are added up first.
    owned AS
    (
        SELECT
            if(key_token != '', key_token, api_key) AS token,
            multiIf(company_id != '', company_id, key_company_id != '', key_company_id, owner_company_id) AS company,
            if(company IN (SELECT id FROM companies WHERE is_internal), '', company) AS counted_company,
            each_day
        FROM calls
        ANY LEFT JOIN
        (
            SELECT
                key_hash AS owned_hash, cityHash64(if(developer_id != '', developer_id, concat('api_key:', token))) AS owner_hash,
                developer_company_id AS owner_company_id
            FROM api_keys
            UNION ALL
            SELECT cityHash64('user_id', user_id) AS owned_hash, cityHash64(developer_id) AS owner_hash, company_id AS owner_company_id FROM canonical_users
        ) AS owners ON alias_hash = owned_hash
        ANY LEFT JOIN
        (SELECT api_key AS key_alias, company_id AS key_company_id, token AS key_token FROM api_keys) AS keys ON api_key = key_alias
        WHERE if(owner_hash != 0, owner_hash, own_developer_hash) NOT IN (SELECT cityHash64(id) FROM developers WHERE is_internal)
    ),
    by_subject AS
    (
        SELECT subject.1 AS level, subject.2 AS id, row_number() OVER (PARTITION BY level ORDER BY id) AS place, sumForEach(each_day) AS all_made
        FROM owned
        ARRAY JOIN [('company', counted_company), ('token', token)] AS subject
        WHERE subject.2 != ''
        GROUP BY subject
    ),
    by_window AS
    (
        SELECT
            level, days_long, groupArrayInsertAt('')(id, toUInt32(place - 1)) AS ids,
            sumForEach(made) AS all_calls,
            sumForEach(arrayMap(uses -> uses > 0, made)) AS all_subjects,
            -- The most calls and, of several with as many, the last place: packed into one number.
            maxForEach(arrayMap(uses -> bitShiftLeft(toUInt128(uses), 64) + place, made)) AS all_largest,
            sumForEach(arrayMap(uses -> toUInt128(uses) * uses, made)) AS all_squares
        FROM
        (
            SELECT
                level, id, place, days_long, arrayCumSum(all_made) AS running,
                arrayMap((now, before) -> now - before, running,
                    arrayResize(arrayConcat(arrayWithConstant(days_long, toUInt64(0)), running), all_midnights)) AS made
            FROM by_subject
            ARRAY JOIN [1, 7, 28] AS days_long
        )
        GROUP BY level, days_long
    )
SELECT
    toDateTime64(toInt64(midnights[position]) * 86400, 3, 'UTC') AS hour, level, days_long * 24 AS window_hours,
    calls, subjects, largest, toUInt64(bitShiftRight(most, 64)) AS largest_calls,
    largest_calls / calls AS largest_share, squares / pow(calls, 2) AS herfindahl
FROM by_window
ARRAY JOIN
    arrayEnumerate(all_calls) AS position, all_calls AS calls, all_subjects AS subjects, all_largest AS most, all_squares AS squares,
    arrayMap(most -> ids[toUInt64(bitAnd(most, 18446744073709551615))], all_largest) AS largest
WHERE calls > 0;

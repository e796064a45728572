-- Counts the events of a week, of aliases with events written since a moment, and writes the counts that differ from the
-- stored ones. Counts are absolute, so several runs may overlap and repeat each other.
-- Counts that were written since `counted_since` are checked again: events may have been deleted while they were counted.
-- week: its Monday
-- since, counted_since: seconds since 1970 UTC
INSERT INTO usage_rows
    (day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot,
    events, successes, client_errors, server_errors, latency_events, latency_us, hours, moments, version, is_deleted)
WITH
    intDiv(ifNull(status, 0), 100) AS status_class,
    if(isNull(latency_ms), -1, toInt64(round(1000 * least(greatest(ifNull(latency_ms, 0), 0), 1e9)))) AS each_latency_us,
    toUInt8(intDiv(time - intDiv(time, 86400000) * 86400000 + 3599999, 3600000)) AS hour_of_day,
    -- Higher than all stored versions, also if the clock was set back.
    (SELECT greatest(toUInt64(toUnixTimestamp64Milli(now64(3))), max(version) + 1) FROM usage_rows) AS began,
    touched AS
    (
        SELECT alias_kind, alias FROM event_rows
        WHERE week = {week:Date} AND inserted_at >= {since:UInt32}
        UNION DISTINCT
        SELECT alias_kind, alias FROM usage_rows
        WHERE day >= {week:Date} AND day < {week:Date} + 7 AND version >= toUInt64({counted_since:UInt32}) * 1000
    ),
    states AS
    (
        SELECT
            toDate(fromUnixTimestamp64Milli(time, 'UTC')) AS day, alias_kind, alias, api_key,
            -- What names a user is his, whatever session and device it came from.
            if(user_id = '', event_rows.session_token, '') AS session_token, if(user_id = '', event_rows.anonymous_id, '') AS anonymous_id,
            company_id, environment, source, type, name, sdk, is_internal, is_bot,
            count() AS events, countIf(status_class = 2) AS successes, countIf(status_class = 4) AS client_errors,
            countIf(status_class = 5) AS server_errors, count(latency_ms) AS latency_events,
            sum(toUInt64(greatest(each_latency_us, 0))) AS latency_us,
            CAST(
                arrayMap(hour -> (hour, countEqual(groupArrayIf(hour_of_day, is_use), hour)), arraySort(arrayDistinct(groupArrayIf(hour_of_day, is_use)))),
                'Map(UInt8, UInt32)') AS hours,
            arraySort(groupArrayIf(
                (time, status_class, each_latency_us, is_use),
                session_token != '' OR anonymous_id != '')) AS moments,
            true AS is_new
        FROM event_rows FINAL
        WHERE week = {week:Date} AND (alias_kind, alias) IN (SELECT alias_kind, alias FROM touched)
        GROUP BY day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot
        UNION ALL
        SELECT
            day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot,
            events, successes, client_errors, server_errors, latency_events, latency_us, hours, moments, false AS is_new
        FROM usage_rows FINAL
        WHERE day >= {week:Date} AND day < {week:Date} + 7
            AND (alias_kind, alias) IN (SELECT alias_kind, alias FROM touched)
    )
SELECT
    day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot,
    sumIf(states.events, is_new) AS events,
    sumIf(states.successes, is_new) AS successes,
    sumIf(states.client_errors, is_new) AS client_errors,
    sumIf(states.server_errors, is_new) AS server_errors,
    sumIf(states.latency_events, is_new) AS latency_events,
    sumIf(states.latency_us, is_new) AS latency_us,
    anyIf(states.hours, is_new) AS hours,
    anyIf(states.moments, is_new) AS moments,
    began AS version,
    countIf(is_new) = 0 AS is_deleted
FROM states
GROUP BY day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot
HAVING (events, successes, client_errors, server_errors, latency_events, latency_us, hours, moments)
    != (
        sumIf(states.events, NOT is_new), sumIf(states.successes, NOT is_new), sumIf(states.client_errors, NOT is_new),
        sumIf(states.server_errors, NOT is_new), sumIf(states.latency_events, NOT is_new), sumIf(states.latency_us, NOT is_new), anyIf(states.hours, NOT is_new),
        anyIf(states.moments, NOT is_new))

-- Events counted by day and alias, and what is added up of them. What was written since the sink last reconciled is not counted yet.
WITH
    (SELECT argMax(reconciled_at, number) FROM reconciliation_rows) AS reconciled_at,
    sides AS
    (
        SELECT
            toDate(fromUnixTimestamp64Milli(time, 'UTC')) AS day, toString(alias_kind) AS kind, alias, api_key,
            if(user_id = '', (session_token, anonymous_id), ('', '')) AS web_aliases, company_id,
            (toString(environment), toString(source), toString(type), toString(name), toString(sdk), is_internal, is_bot) AS dimensions,
            1 AS events,
            ifNull(status >= 200 AND status < 300, 0) AS successes,
            ifNull(status >= 400 AND status < 500, 0) AS client_errors,
            ifNull(status >= 500 AND status < 600, 0) AS server_errors,
            isNotNull(latency_ms) AS latencies,
            toUInt64(round(1000 * least(greatest(ifNull(latency_ms, 0), 0), 1e9))) AS latency_us,
            -- An hour includes its end; midnight itself is of hour 0.
            CAST(if(is_use, map(toUInt8(ceil(positiveModulo(time, 86400000) / 3600000)), toUInt32(1)), map()), 'Map(UInt8, UInt32)') AS uses,
            inserted_at AS written_at, false AS is_found
        FROM event_rows FINAL
        UNION ALL
        SELECT
            day, toString(alias_kind), alias, api_key, (session_token, anonymous_id), company_id,
            (toString(environment), toString(source), toString(type), toString(name), toString(sdk), is_internal, is_bot),
            events, successes, client_errors, server_errors, latency_events, toUInt64(round(1000 * latency_ms)), hours, toDateTime(0), true
        FROM usage
    ),
    compared AS
    (
        SELECT
            concat(kind, ':', alias, ' ', toString(day), ' ', dimensions.4) AS id,
            tuple(
                sumIf(events, NOT is_found), sumIf(successes, NOT is_found), sumIf(client_errors, NOT is_found),
                sumIf(server_errors, NOT is_found), sumIf(latencies, NOT is_found), sumIf(latency_us, NOT is_found),
                sumMapIf(uses, NOT is_found)) AS expected,
            tuple(
                sumIf(events, is_found), sumIf(successes, is_found), sumIf(client_errors, is_found),
                sumIf(server_errors, is_found), sumIf(latencies, is_found), sumIf(latency_us, is_found),
                sumMapIf(uses, is_found)) AS found,
            multiIf(
                expected = found, 'agree', max(written_at) >= reconciled_at, 'unproven', found.1 = 0, 'missing', expected.1 = 0, 'surplus', 'differ') AS verdict,
            arrayMap(
                side -> if(verdict = 'agree' OR side.1 = 0, '', concat(
                    toString(side.1), ' events, ', toString(side.2), ' successes, ', toString(side.3), ' client errors, ', toString(side.4),
                    ' server errors, ', toString(side.5), ' latencies of ', toString(side.6), ' us, uses by hour ', toString(side.7))),
                [expected, found]) AS shown,
            shown[1] AS shown_expected, shown[2] AS shown_found
        FROM sides
        GROUP BY day, kind, alias, api_key, web_aliases, company_id, dimensions
    )
/* outcome */

-- Touches that are suppressed, as in `suppressed_events.sql`.
FROM touch_rows
WHERE (alias IN {ids:Array(String)} OR api_key IN {ids:Array(String)} OR session_token IN {ids:Array(String)}
        OR anonymous_id IN {ids:Array(String)} OR company_id IN {ids:Array(String)})
    AND arrayExists(
        one -> has(
            [(if(alias_kind = 'user_id', 'user_id', ''), alias),
            (if(alias_kind != 'user_id', 'api_key', ''), api_key),
            (if(alias_kind != 'user_id', 'session_token', ''), session_token),
            (if(alias_kind != 'user_id', if(anonymous_id = '', 'lone_session', 'anonymous_id'), ''), if(anonymous_id = '', session_token, anonymous_id)),
            ('company_id', company_id),
            (if(company_id = '', 'company_key', ''), api_key)],
            (one.1, one.2))
            AND arrayExists(period -> time >= period.1 AND time < period.2, one.3)
            AND NOT hasAny(one.4, [('api_key', api_key), ('session_token', session_token)]),
        {suppressions:Array(Tuple(String, String, Array(Tuple(Int64, Int64)), Array(Tuple(String, String))))})

-- Events that are suppressed, as `SuppressionList.suppresses` decides it. suppressions: (kind, id, periods of (from, before) in
-- milliseconds, identifiers that exempt an event). rank: 0 for events of a session without a device, 1 for others that an alias
-- alone suppresses, 2 for those that name a user or company, 3 for merges; -1 for all.
FROM event_rows
WHERE is_deleted = 0
    AND ({rank:Int8} = -1 OR {rank:Int8} = multiIf(
        type = 'merge', 3, (if({level:String} = 'company', company_id, user_id)) != '', 2, anonymous_id != '', 1, 0))
    AND (user_id IN {ids:Array(String)} OR api_key IN {ids:Array(String)} OR session_token IN {ids:Array(String)}
        OR anonymous_id IN {ids:Array(String)} OR previous_id IN {ids:Array(String)} OR company_id IN {ids:Array(String)})
    AND arrayExists(
        one -> has(
            [('user_id', user_id),
            (if(user_id = '', 'api_key', ''), api_key),
            (if(user_id = '', 'session_token', ''), session_token),
            (if(user_id = '', if(anonymous_id = '', 'lone_session', 'anonymous_id'), ''), if(anonymous_id = '', session_token, anonymous_id)),
            (if(type = 'merge' AND user_id != '' AND previous_id != anonymous_id, 'user_id', ''), previous_id),
            ('company_id', company_id),
            (if(company_id = '', 'company_key', ''), api_key)],
            (one.1, one.2))
            AND arrayExists(period -> time >= period.1 AND time < period.2, one.3)
            AND NOT hasAny(one.4, [('api_key', api_key), ('session_token', session_token)]),
        {suppressions:Array(Tuple(String, String, Array(Tuple(Int64, Int64)), Array(Tuple(String, String))))})

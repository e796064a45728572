-- Events that a period covers, as (kind, id, from, before) in milliseconds. rank: 0 for events that an alias alone suppresses,
-- 1 for those that name a user or company, 2 for merges; -1 for all.
FROM event_rows
WHERE is_deleted = 0
    AND ({rank:Int8} = -1 OR {rank:Int8} = multiIf(type = 'merge', 2, (if({level:String} = 'company', company_id, user_id)) != '', 1, 0))
    AND (user_id IN {ids:Array(String)} OR alias IN {ids:Array(String)} OR previous_id IN {ids:Array(String)}
        OR company_id IN {ids:Array(String)} OR api_key IN {ids:Array(String)})
    AND arrayExists(period -> time >= period.3 AND time < period.4 AND has(
            [('user_id', user_id),
            (if(user_id = '', toString(alias_kind), ''), alias),
            (if(type = 'merge' AND user_id != '' AND previous_id != anonymous_id, 'user_id', ''), previous_id),
            ('company_id', company_id),
            (if(company_id = '', 'company_key', ''), api_key)],
            (period.1, period.2)),
        {periods:Array(Tuple(String, String, Int64, Int64))})

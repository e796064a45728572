-- Touches that a period covers, as (kind, id, from, before) in milliseconds.
FROM touch_rows
WHERE (alias IN {ids:Array(String)} OR company_id IN {ids:Array(String)} OR api_key IN {ids:Array(String)})
    AND arrayExists(period -> time >= period.3 AND time < period.4 AND has(
            [(toString(alias_kind), alias), ('company_id', company_id), (if(company_id = '', 'company_key', ''), api_key)],
            (period.1, period.2)),
        {periods:Array(Tuple(String, String, Int64, Int64))})

-- States of counts up to a version, as (hash of the count's key, version).
FROM usage_rows
WHERE alias IN {ids:Array(String)}
    AND arrayExists(
        row -> row.1 = sipHash64(day, alias_kind, alias, api_key, session_token, anonymous_id, company_id, environment, source, type, name, sdk, is_internal, is_bot)
            AND version <= row.2,
        {bounds:Array(Tuple(UInt64, UInt64))})

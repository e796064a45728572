    -- Later hashes of an API key, each with the first one.
    renamed AS
    (
        SELECT alias AS later_hash, first_hash FROM identity_rows FINAL
        WHERE alias_kind = 'api_key' AND first_hash NOT IN ('', alias)
    )

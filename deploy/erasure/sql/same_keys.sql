-- All hashes of these API keys, each with the key's first one. Outdated and deleted rows count too.
WITH
    (
        SELECT groupUniqArray(if(first_hash = '', alias, first_hash)) FROM identity_rows
        WHERE alias_kind = 'api_key' AND alias IN {keys:Array(String)}
    ) AS known
SELECT alias AS hash, argMax(if(first_hash = '', alias, first_hash), version) AS first
FROM identity_rows
WHERE alias_kind = 'api_key' AND (alias IN arrayConcat(known, {keys:Array(String)}) OR has(arrayConcat(known, {keys:Array(String)}), first_hash))
GROUP BY hash

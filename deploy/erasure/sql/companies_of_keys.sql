-- The evidence of companies behind API keys: the earliest of each company.
SELECT api_key, min(time) AS first_time, company_id
FROM event_rows
WHERE api_key IN {keys:Array(String)} AND company_id != ''
GROUP BY api_key, company_id

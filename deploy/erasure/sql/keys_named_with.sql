-- The API keys on events that name the company.
SELECT DISTINCT api_key
FROM event_rows
WHERE company_id = {company:String} AND api_key != ''

-- User and other identifiers on events that name the company, or one of the keys and no company.
SELECT DISTINCT user_id, api_key, session_token, anonymous_id, if(type = 'merge', previous_id, '') AS named_device
FROM event_rows
WHERE ({company:String} != '' AND company_id = {company:String})
    OR (company_id = '' AND api_key IN {keys:Array(String)})

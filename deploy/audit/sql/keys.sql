-- API key to its first owner and its first company.
INSERT INTO {keys:Identifier}
SELECT key, first_owner.2, first_owner.1, first_company.2, first_company.1
FROM
(
    SELECT
        api_key AS key,
        minIf((time, user_id), user_id != '') AS first_owner,
        minIf((time, company_id), company_id != '') AS first_company
    FROM {marked:Identifier}
    WHERE api_key != '' AND (user_id != '' OR company_id != '')
    GROUP BY key
)

-- Session token to the device that it was first seen with.
INSERT INTO {sessions:Identifier}
SELECT token, earliest.2, earliest.1, is_lone
FROM
(
    SELECT
        session_token AS token, minIf((time, anonymous_id), anonymous_id != '') AS earliest,
        max(anonymous_id = '' AND user_id = '') AS is_lone
    FROM {marked:Identifier}
    WHERE session_token != ''
    GROUP BY token
)
WHERE earliest.2 != ''

-- Events that count for their API key as a token, whatever device they came from: not those of internal users, and of a key
-- without an owner none if one that names no user is internal.
INSERT INTO {token_events:Identifier}
SELECT api_key, environment, time, has(selectors, {usage:UInt16}) AS is_use, segments
FROM
(
    SELECT marked.*, if(user_id != '', user_id, key.owner) AS named
    FROM {marked:Identifier} AS marked
    LEFT JOIN {keys:Identifier} AS key ON marked.api_key = key.key
    WHERE matters AND api_key != ''
) AS keyed
LEFT JOIN {members:Identifier} AS member ON keyed.named = member.user
WHERE (is_use OR notEmpty(segments)) AND if(
    named != '',
    member.developer NOT IN (SELECT developer FROM {own:Identifier}),
    api_key NOT IN (SELECT api_key FROM {marked:Identifier} WHERE matters AND is_internal AND user_id = ''))

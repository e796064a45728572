-- Every event once, marked with the selectors it matches, the touch it is and what it says of segments. An API key stands
-- under its first hash.
INSERT INTO {marked:Identifier}
WITH
/* renamed */
SELECT
    event.alias_kind, if(event.alias_kind = 'api_key', token, event.alias) AS known_alias,
    sipHash64(event.alias_kind, known_alias, message_id), time, anonymous_id, session_token,
    if(renamed.first_hash != '', renamed.first_hash, event.api_key) AS token,
    user_id, company_id,
    -- An alias call from a device that names the device itself is a link, not a merge of two users.
    if(type = 'merge' AND user_id != '' AND previous_id != anonymous_id, previous_id, '') AS merged_id,
    environment, selectors, known.fields AS touch, sayings.said AS segments, is_internal, is_content,
    if(is_outreach, name, '') AS outreach,
    NOT is_bot AND (notEmpty(selectors) OR touch != 0 OR notEmpty(segments) OR is_internal) AS matters
FROM
(
    SELECT
        *, alias_kind, alias,
        if(type = 'event' AND NOT is_bot,
           arrayFilter((number, holds) -> holds, {numbers:Array(UInt16)}, [/* conditions */]),
           []) AS selectors,
        if(/* may be touch */, sipHash64(/* made of */), 0) AS made_of,
        /* said */ AS texts,
        if(NOT is_bot AND arrayExists(text -> text != '', texts), sipHash64(texts), 0) AS said_of,
        type = 'event' AND NOT is_bot AND /* content */ AS is_content,
        type = 'event' AND NOT is_bot AND /* outreach */ AS is_outreach
    FROM event_rows FINAL
) AS event
ANY LEFT JOIN {touches:Identifier} AS known ON event.made_of = known.made_of
ANY LEFT JOIN {sayings:Identifier} AS sayings ON event.said_of = sayings.made_of
ANY LEFT JOIN renamed ON event.api_key = renamed.later_hash

-- Every event once, with the selectors it matches, its touch and its values of segments. An API key has its first hash.
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
    multiIf(user_id != '', '', anonymous_id != '', 'anonymous_id', session_token != '', 'session_token', '') AS holder_kind,
    multiIf(user_id != '', '', anonymous_id != '', anonymous_id, session_token) AS holder,
    environment, selectors, known.fields_hash AS touch, event_segments.segments AS segments, is_internal, is_content,
    if(is_outreach, name, '') AS outreach,
    NOT is_bot AND (notEmpty(selectors) OR touch != 0 OR notEmpty(segments) OR is_internal) AS matters
FROM
(
    SELECT
        *, alias_kind, alias,
        if(type = 'event' AND NOT is_bot,
           arrayFilter((number, holds) -> holds, {numbers:Array(UInt16)}, [/* conditions */]),
           []) AS selectors,
        if(/* may be touch */, sipHash64(/* touch parts */), 0) AS touch_parts,
        /* segment fields */ AS texts,
        if(NOT is_bot AND arrayExists(text -> text != '', texts), sipHash64(texts), 0) AS segment_texts,
        type = 'event' AND NOT is_bot AND /* content */ AS is_content,
        type = 'event' AND NOT is_bot AND /* outreach */ AS is_outreach
    FROM event_rows FINAL
) AS event
ANY LEFT JOIN {touches:Identifier} AS known ON event.touch_parts = known.parts_hash
ANY LEFT JOIN {event_segments:Identifier} AS event_segments ON event.segment_texts = event_segments.parts_hash
ANY LEFT JOIN renamed ON event.api_key = renamed.later_hash

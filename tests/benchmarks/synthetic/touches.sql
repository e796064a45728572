-- Touches and outreach of the synthetic population, as the sink would write them: rows `first` to `first + rows` of `total`
-- events, one of 25 of which is a touch: 19 of 20 of browsers, the others of users; and one of 1,000 of outreach, of 100 staff.
INSERT INTO touch_rows
    (alias_kind, alias, event_hash, content_hash, message_id, time, api_key, anonymous_id, company_id, name, campaign, source, medium, path, texts, segments,
    is_touch, is_content, is_outreach)
WITH
    sipHash64(number, 1) AS dice,
    (sipHash64(number, 2) % 1000003) / 1000003 AS luck,
    number / {total:UInt64} AS elapsed,
    toUInt32(540000 * elapsed + 60000 * luck * luck) AS browser,
    number % 1000 = 0 AS is_outreach,
    dice % 20 != 0 AS of_browser,
    ['python', 'node', 'ruby', 'go', 'java'][1 + dice % 5] AS technology
SELECT
    if(of_browser AND NOT is_outreach, 'anonymous_id', 'user_id') AS alias_kind,
    multiIf(is_outreach, concat('staff_', toString(dice % 100)), of_browser, concat('a', lower(hex(sipHash128(browser)))), concat('usr_', toString(dice % 100000))) AS alias,
    bitShiftRight(sipHash64(number, 3), 1) AS event_hash,
    event_hash AS content_hash,
    concat('847f19b5-', leftPad(lower(hex(number)), 16, '0')) AS message_id,
    toInt64(1767225600000 + 90 * 86400000 * elapsed) + toInt64(sipHash64(number, 4) % 3600000) AS time,
    '' AS api_key, if(alias_kind = 'anonymous_id', alias, '') AS anonymous_id, '' AS company_id,
    multiIf(is_outreach, 'Talk Given', dice % 4 = 0, 'Content Viewed', 'Page Viewed') AS name,
    if(is_outreach, '', concat('campaign-', toString(dice % 40))) AS campaign,
    if(is_outreach, '', ['google', 'newsletter'][1 + dice % 2]) AS source,
    if(is_outreach, '', ['cpc', 'email', 'video'][1 + dice % 3]) AS medium,
    if(is_outreach, '', concat('/blog/', toString(dice % 200))) AS path,
    concat(campaign, path) AS texts,
    if(is_outreach OR dice % 4 = 0, map('technology', technology), map()) AS segments,
    NOT is_outreach AS is_touch,
    dice % 4 = 0 AND NOT is_outreach AS is_content,
    is_outreach
FROM numbers({first:UInt64}, {rows:UInt64})
WHERE number % 25 = 0

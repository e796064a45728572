-- Grain: as `attribution`, of one level, conversion and model, from the touches of the days before each conversion:
--   SELECT * FROM attribution_within(lookback_days = 30, level = 'developer', conversion = 'signup', model = 'linear').
-- Key: (level, subject_id, conversion, model, position).
-- Engine: a view with parameters: 0 days for no limit, an empty text for all of it. Only subjects that converted are looked at, each with its touches in the
--   order of time, of one millisecond in that of their texts. Credit is counted in whole millionths of millionths, so that the
--   credits of a conversion add up to exactly 1: what does not divide goes to the earliest touches of those that share.
--   Every text is an array of its own, so that those that nobody asks for are not read.
CREATE OR REPLACE VIEW attribution_within /* ON CLUSTER */
COMMENT 'Which touches have what part in sign-ups and activations, from the touches of so many days before'
AS
WITH
    toUInt64(1000000000000) AS whole,
    (parts, sharers, place) -> toUInt64(intDiv(parts, greatest(sharers, 1)) + (place <= parts % greatest(sharers, 1))) AS share,
    converting AS
    (
        SELECT *, cityHash64(subject_id) AS subject_hash FROM conversions
        WHERE ({level:String} = '' OR level = {level:String}) AND ({conversion:String} = '' OR conversion = {conversion:String})
    ),
    paths AS
    (
        SELECT
            level, subject_hash,
            groupArray((toUnixTimestamp64Milli(touched_at), texts, event_hash)) AS unsorted,
            -- The places of the touches in the arrays, the earliest one first.
            arraySort(place -> unsorted[place], arrayEnumerate(unsorted)) AS ordered,
            arrayMap(place -> unsorted[place].1, ordered) AS moments,
            arrayMap(place -> unsorted[place].3, ordered) AS hashes,
            groupArray(name) AS names, groupArray(campaign) AS campaigns, groupArray(source) AS sources, groupArray(medium) AS media,
            groupArray(term) AS terms, groupArray(content) AS contents, groupArray(referrer) AS referrers, groupArray(path) AS paths_of_pages,
            groupArray(developer_id) AS developers, groupArray(message_id) AS messages
        FROM /* database */touches_of(level = {level:String}) AS touches
        WHERE subject_hash IN (SELECT subject_hash FROM converting)
        GROUP BY level, subject_hash
    ),
    converted AS
    (
        SELECT
            *, toUnixTimestamp64Milli(converted_at) AS converted_ms,
            arrayCount(moment -> moment <= converted_ms, moments) AS before,
            if({lookback_days:UInt16} = 0, 0, arrayCount(moment -> moment < converted_ms - {lookback_days:UInt16} * 86400000, moments)) AS too_early,
            toUInt32(greatest(before, too_early) - too_early) AS touches,
            range(1, touches + 1) AS places
        FROM converting
        LEFT JOIN paths USING (level, subject_hash)
    ),
    credited AS
    (
        SELECT
            * EXCEPT (places), each.1 AS model, each.2 AS parts, each.3 AS position
        FROM converted
        ARRAY JOIN
            if(
                touches = 0,
                arrayMap(
                    name -> (name, whole, toUInt32(0)),
                    arrayFilter(name -> {model:String} IN ('', name), ['first', 'last', 'linear', 'position'])),
                arrayConcat(
                    if({model:String} IN ('', 'first'), [('first', whole, toUInt32(1))], []),
                    if({model:String} IN ('', 'last'), [('last', whole, touches)], []),
                    arrayMap(place -> ('linear', share(whole, touches, place), toUInt32(place)), if({model:String} IN ('', 'linear'), places, [])),
                    arrayMap(
                        place -> (
                            'position',
                            multiIf(
                                touches < 3, share(whole, touches, place),
                                place = 1 OR place = touches, toUInt64(intDiv(whole * 2, 5)),
                                share(intDiv(whole, 5), touches - 2, place - 1)),
                            toUInt32(place)),
                        if({model:String} IN ('', 'position'), places, [])))) AS each
    ),
    placed AS
    (
        SELECT *, if(touches = 0, 0, position + too_early) AS nth, if(touches = 0, 0, ordered[nth]) AS at FROM credited
    )
SELECT
    level, subject_id, conversion, converted_at, model, touches, position,
    toDecimal64(parts, 0) * toDecimal64('0.000000000001', 12) AS credit,
    if(touches = 0, NULL, fromUnixTimestamp64Milli(moments[nth], 'UTC')) AS touched_at,
    names[at] AS name, campaigns[at] AS campaign, sources[at] AS source, media[at] AS medium, terms[at] AS term, contents[at] AS content,
    referrers[at] AS referrer, paths_of_pages[at] AS path, developers[at] AS developer_id, hashes[nth] AS event_hash, messages[at] AS message_id
FROM placed;

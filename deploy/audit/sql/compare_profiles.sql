-- Subjects of a level: whether there is one, then attribute by attribute where the two sides differ.
WITH
    activated AS
    (
        SELECT id, groupArray((toString(definition), at)) AS activations
        FROM {reached:Identifier} WHERE level = {level:String} GROUP BY id
    ),
    touched AS (SELECT id, at, fields FROM {first_touches:Identifier} WHERE level = {level:String}),
    segmented AS
    (
        SELECT
            id, arraySort(groupArray((toString(segment), value))) AS segments,
            arrayFlatten(groupArray(arrayMap(one -> (toString(segment), one), possible))) AS possible
        FROM {segments:Identifier} WHERE level = {level:String} GROUP BY id
    ),
    expected AS
    (
        SELECT
            subject.id AS id, toString(kind) AS kind, company, is_internal, is_bot,
            if(is_bot, 0, first_seen) AS first_seen, if(is_bot, 0, last_active) AS last_active,
            arraySort(arrayConcat(
                arrayMap(stage -> (stage.1, firsts[stage.2]),
                    arrayFilter(stage -> mapContains(firsts, stage.2), arrayZip({stages:Array(String)}, {stage_selectors:Array(UInt16)}))),
                arrayMap(stage -> (stage.1, arrayFirst(one -> one.1 = stage.2, activations).2),
                    arrayFilter(stage -> arrayExists(one -> one.1 = stage.2, activations),
                        arrayZip({derived_stages:Array(String)}, {derived_from:Array(String)}))))) AS stages,
            if(is_bot, 0, touched.at) AS touched_at, if(is_bot, [], touched.fields) AS fields,
            if(is_bot, [], segmented.segments) AS segments, if(is_bot, [], segmented.possible) AS possible
        FROM {subjects:Identifier} AS subject
        ANY LEFT JOIN activated ON subject.id = activated.id
        ANY LEFT JOIN touched ON subject.id = touched.id
        ANY LEFT JOIN segmented ON subject.id = segmented.id
        WHERE level = {level:String}
    ),
    found AS
    (
        SELECT
            /* profile */,
            ifNull(toUnixTimestamp64Milli(first_seen), 0) AS first_seen_ms, ifNull(toUnixTimestamp64Milli(last_active), 0) AS last_active_ms,
            arraySort(arrayZip(mapKeys(stages), arrayMap(at -> toUnixTimestamp64Milli(at), mapValues(stages)))) AS entered,
            ifNull(toUnixTimestamp64Milli(first_touch_at), 0) AS touched_at,
            arrayFilter(field -> field.2 != '', [
                ('campaign', first_touch_campaign), ('content', first_touch_content), ('medium', first_touch_medium),
                ('name', first_touch_name), ('path', first_touch_path), ('referrer', first_touch_referrer),
                ('source', first_touch_source), ('term', first_touch_term)]) AS fields,
            arraySort(arrayZip(mapKeys(segments), mapValues(segments))) AS segment_values
        FROM /* profiles */
    ),
    sides AS
    (
        SELECT
            id, false AS is_found,
            CAST((kind, company, is_internal, is_bot, first_seen, last_active, stages, touched_at, fields, segments, possible), /* attributes */) AS profile
        FROM expected
        UNION ALL
        SELECT
            id, true,
            CAST((kind, company, is_internal, is_bot, first_seen_ms, last_active_ms, entered, touched_at, fields, segment_values, []), /* attributes */)
        FROM found
    ),
    compared AS
    (
        SELECT
            id, anyIf(profile, NOT is_found) AS e, anyIf(profile, is_found) AS f,
            multiIf(NOT max(is_found), 'missing', min(is_found), 'surplus', 'agree') AS verdict,
            arrayFilter(
                one -> verdict = 'agree' AND one.2 != '',
                [
                    ('kind', if((e.kind, e.is_bot) != (f.kind, f.is_bot), 'differ', '')),
                    ('company', if(e.company != f.company, 'differ', '')),
                    ('first seen', if(e.first_seen != f.first_seen, 'differ', '')),
                    ('last active', multiIf(
                        e.last_active = f.last_active, '',
                        f.last_active > e.last_active AND f.last_active - e.last_active <= {copies_ms:Int64}, 'unproven',
                        'differ')),
                    ('stages', if(e.stages != f.stages, 'differ', '')),
                    ('first touch', if((e.touched, e.fields) != (f.touched, f.fields), 'differ', '')),
                    ('segments', multiIf(
                        e.segments = f.segments, '',
                        arrayMap(s -> s.1, e.segments) = arrayMap(s -> s.1, f.segments)
                            AND arrayAll(s -> has(e.segments, s) OR has(e.possible, s), f.segments), 'unproven',
                        'differ')),
                    ('internal', if(e.is_internal != f.is_internal, 'differ', ''))
                ]) AS differing
        FROM sides
        GROUP BY id
    )
SELECT
    attribute, outcome AS verdict, count(),
    groupArraySorted({examples:UInt8})(if(outcome = 'agree', ('', '', ''), (
        id, sides[1], sides[2])))
FROM
(
    SELECT
        id, one.1 AS attribute, one.2 AS outcome,
        arrayMap(
            (own, other, absent) -> multiIf(
                outcome IN ('agree', absent), '',
                attribute IN ('', 'kind'), concat(own.kind, if(own.is_bot, ', bot', '')),
                attribute = 'company', own.company,
                attribute = 'first seen', toString(fromUnixTimestamp64Milli(own.first_seen, 'UTC')),
                attribute = 'last active', toString(fromUnixTimestamp64Milli(own.last_active, 'UTC')),
                attribute = 'stages', arrayStringConcat(arrayMap(s -> concat(s.1, ' ', toString(fromUnixTimestamp64Milli(s.2, 'UTC'))), arrayFilter(s -> NOT has(other.stages, s), own.stages)), ', '),
                attribute = 'first touch', if(own.touched = 0, '', concat('at ', toString(fromUnixTimestamp64Milli(own.touched, 'UTC')), ', ', arrayStringConcat(arrayMap(field -> concat(field.1, ' ', field.2), own.fields), ', '))),
                attribute = 'segments', arrayStringConcat(arrayMap(s -> concat(s.1, ' ', s.2), arrayFilter(s -> NOT has(other.segments, s), own.segments)), ', '),
                toString(own.is_internal)),
            [e, f], [f, e], ['surplus', 'missing']) AS sides
    FROM compared
    ARRAY JOIN arrayConcat([('', verdict)], differing) AS one
)
GROUP BY attribute, outcome

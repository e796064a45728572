-- Activations of a level: when the anchor stage was entered, and when all conditions held.
WITH
    sides AS
    (
        SELECT id, toString(definition) AS definition, (anchor, at) AS times, false AS is_found FROM {reached:Identifier} WHERE level = {level:String}
        UNION ALL
        SELECT
            subject_id, toString(definition),
            (ifNull(toUnixTimestamp64Milli(anchor_at), toInt64(0)), toUnixTimestamp64Milli(activated_at)), true
        FROM activations WHERE level = {level:String}
    ),
    compared AS
    (
        SELECT
            concat(sides.id, ' ', definition) AS id, anyIf(times, NOT is_found) AS expected, anyIf(times, is_found) AS found,
            multiIf(NOT max(is_found), 'missing', min(is_found), 'surplus', expected = found, 'agree', 'differ') AS verdict,
            if(verdict IN ('agree', 'surplus'), '', concat('at ', toString(fromUnixTimestamp64Milli(expected.2, 'UTC')), ', anchor ', toString(fromUnixTimestamp64Milli(expected.1, 'UTC')))) AS shown_expected,
            if(verdict IN ('agree', 'missing'), '', concat('at ', toString(fromUnixTimestamp64Milli(found.2, 'UTC')), ', anchor ', toString(fromUnixTimestamp64Milli(found.1, 'UTC')))) AS shown_found
        FROM sides
        GROUP BY sides.id, definition
    )
/* outcome */

-- Hours of use of the API at a level, day by day.
WITH
/* days */,
    compared AS
    (
        SELECT
            concat(days.id, ' ', environment, ' ', toString(toDate(toUInt16(day)))) AS id, verdict,
            if(verdict = 'agree' OR expected = 0, '', concat('hours ', arrayStringConcat(bitPositionsToArray(expected), ' '))) AS shown_expected,
            if(verdict = 'agree' OR found = 0, '', concat('hours ', arrayStringConcat(bitPositionsToArray(found), ' '))) AS shown_found
        FROM days
    )
/* outcome */

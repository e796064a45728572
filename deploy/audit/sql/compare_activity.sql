-- Hours of use of the API at a level, day by day.
WITH
/* days */
SELECT
    'activity' AS published, verdict, count(),
    groupArraySorted({examples:UInt8})(if(verdict = 'agree', ('', '', ''), (
        concat(id, ' ', environment, ' ', toString(toDate(toUInt16(day)))),
        if(expected = 0, '', concat('hours ', arrayStringConcat(bitPositionsToArray(expected), ' '))),
        if(found = 0, '', concat('hours ', arrayStringConcat(bitPositionsToArray(found), ' '))))))
FROM days
GROUP BY published, verdict

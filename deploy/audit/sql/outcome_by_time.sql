-- How those in `compared` come out that differ in their time: `shown` is what they say besides, the same on both sides.
SELECT
    '/* published */' AS published, verdict, count(),
    groupArraySorted({examples:UInt8})(if(verdict = 'agree', ('', '', ''), (
        id,
        if(verdict = 'surplus', '', concat('at ', toString(fromUnixTimestamp64Milli(expected, 'UTC')), shown)),
        if(verdict = 'missing', '', concat('at ', toString(fromUnixTimestamp64Milli(found, 'UTC')), shown)))))
FROM compared
GROUP BY verdict

-- How many of `compared` have each verdict, and the first of those that do not agree.
SELECT
    verdict, count(),
    groupArraySorted({examples:UInt8})(if(verdict = 'agree', ('', '', ''), (id, shown_expected, shown_found)))
FROM compared
GROUP BY verdict

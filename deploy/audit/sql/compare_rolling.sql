-- Changes of the rolling counts, hour by hour.
WITH
    sides AS
    (
        SELECT toString(metric) AS metric, toString(level) AS level, window_hours, hour, delta, false AS is_found FROM {steps:Identifier}
        UNION ALL
        SELECT toString(metric), toString(level), window_hours, toUInt32(intDiv(toUnixTimestamp64Milli(hour), 3600000)), delta, true
        FROM rolling_rows FINAL
    ),
    compared AS
    (
        SELECT
            concat(metric, ' ', level, ' ', toString(window_hours), ' h, ', toString(fromUnixTimestamp64Milli(toInt64(hour) * 3600000, 'UTC'))) AS id,
            sumIf(delta, NOT is_found) AS expected, sumIf(delta, is_found) AS found,
            multiIf(expected = found, 'agree', found = 0, 'missing', expected = 0, 'surplus', 'differ') AS verdict
        FROM sides
        GROUP BY metric, level, window_hours, hour
        HAVING expected != 0 OR found != 0
    )
SELECT
    'rolling counts' AS published, verdict, count(),
    groupArraySorted({examples:UInt8})(if(verdict = 'agree', ('', '', ''), (
        id,
        if(expected = 0, '', concat('change of ', toString(expected))),
        if(found = 0, '', concat('change of ', toString(found))))))
FROM compared
GROUP BY published, verdict

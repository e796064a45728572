-- Changes of the rolling counts, hour by hour. Within what is open of the values of tokens a change is unproven.
WITH
    sides AS
    (
        SELECT
            toString(metric) AS metric, toString(level) AS level, toString(segment) AS segment, toString(segment_value) AS segment_value,
            window_hours, hour, delta, open, false AS is_found
        FROM {steps:Identifier}
        UNION ALL
        SELECT
            toString(metric), toString(level), toString(segment), toString(segment_value),
            window_hours, toUInt32(intDiv(toUnixTimestamp64Milli(hour), 3600000)), change, 0, true
        FROM rolling_changes
    ),
    compared AS
    (
        SELECT
            concat(
                metric, ' ', level, if(segment = '', '', concat(' ', segment, ' ', segment_value)), ' ', toString(window_hours), ' h, ',
                toString(fromUnixTimestamp64Milli(toInt64(hour) * 3600000, 'UTC'))) AS id,
            sumIf(delta, NOT is_found) AS expected, sumIf(delta, is_found) AS found,
            multiIf(expected = found, 'agree', abs(expected - found) <= sum(open), 'unproven', found = 0, 'missing', expected = 0, 'surplus', 'differ') AS verdict,
            if(expected = 0, '', concat('change of ', toString(expected))) AS shown_expected,
            if(found = 0, '', concat('change of ', toString(found))) AS shown_found
        FROM sides
        GROUP BY metric, level, segment, segment_value, window_hours, hour
        HAVING expected != 0 OR found != 0
    )
/* outcome */

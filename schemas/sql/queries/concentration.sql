-- title: Concentration of production calls
-- description: >-
--   Whether one company or app (token) hides a thin base, over trailing windows of 24 hours, 7 and 28 days, or day by
--   day. The Herfindahl index is the sum of squared shares: 1 if one makes all calls, 1/n if n make equally many.
-- topic: usage
-- parameters:
--   at:
--     type: Time
--     meaning: end of the windows, the first full hour at or after this time, UTC; empty for the latest event
--   from: {type: Time, meaning: 'instead, each UTC midnight after this time; empty for `at`'}
--   to: {type: Time, meaning: and up to this time; empty for the latest}
--   level: {values: [company, token], meaning: empty for both}
--   window_hours: {type: UInt16, values: [24, 168, 672], default: 0, meaning: 0 for all}
-- chart: {kind: bar, label: window_hours, numbers: [largest_percent, herfindahl]}
-- columns:
--   hour: end of the window, UTC
--   level: company or token
--   window_hours: length of the window
--   calls: production calls in it
--   subjects: companies or tokens with one
--   largest: the one with the most
--   largest_percent: its share of the calls
--   herfindahl: sum of squared shares
SELECT
    hour, level, window_hours, calls, subjects, largest,
    round(100 * largest_share, 1) AS largest_percent,
    round(herfindahl, 4) AS herfindahl
FROM
(
    SELECT hour, level, window_hours, calls, subjects, largest, largest_share, herfindahl
    FROM concentration_at(at = {at:String})
    WHERE {from:String} = '' AND {to:String} = ''
    UNION ALL
    SELECT hour, level, window_hours, calls, subjects, largest, largest_share, herfindahl
    FROM concentration
    WHERE ({from:String} != '' OR {to:String} != '')
        AND hour > coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64(0, 3, 'UTC'))
        AND hour <= coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01', 3, 'UTC'))
)
WHERE ({level:String} = '' OR level = {level:String}) AND ({window_hours:UInt16} = 0 OR window_hours = {window_hours:UInt16})
ORDER BY hour, level, window_hours

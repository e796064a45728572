-- Weekly active tokens, developers and companies (distinct, production use only), and the growth of developers from week to week.
-- weeks = 8: how many weeks back
-- at = : end of the latest week, UTC; empty for the latest event
WITH
    coalesce(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), (SELECT max(last_active) FROM developers)) AS as_of,
    toStartOfHour(as_of - toIntervalMillisecond(1)) + toIntervalHour(1) AS last_hour,
    -- Hours before the first use and after the last have no row: their counts are 0.
    counts AS
    (
        SELECT
            toDateTime(hour, 'UTC') AS hour,
            sumIf(value, metric = 'active_tokens') AS tokens,
            sumIf(value, metric = 'active_developers') AS developers,
            sumIf(value, metric = 'active_companies') AS companies
        FROM rolling_counts
        WHERE window_hours = 168
        GROUP BY hour
    ),
    weeks AS
    (
        SELECT toDateTime(last_hour, 'UTC') - toIntervalWeek(number) AS week_end
        FROM numbers({weeks:UInt16})
        WHERE week_end > (SELECT min(first_seen) FROM developers)
    )
SELECT
    week_end, tokens AS active_tokens, developers AS active_developers, companies AS active_companies,
    round(100 * (developers / nullIf(lagInFrame(developers) OVER (ORDER BY week_end ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), 0) - 1), 1)
        AS developers_growth_percent
FROM weeks
LEFT JOIN counts ON weeks.week_end = counts.hour
ORDER BY week_end

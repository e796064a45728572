-- Grain: one row: SELECT * FROM hour_at(at = '2026-05-13 10:20:00'). Columns: `hour`, the first full hour at or after the time (UTC), and
--   the same as `hours_since_1970`. Of an empty time it is the hour of the latest event; without any, 1970.
-- Key: none.
-- Engine: a view with a parameter over `developers`: the end of the windows that views and queries look back from.
CREATE OR REPLACE VIEW hour_at /* ON CLUSTER */
AS
SELECT
    toInt64(ceil(ifNull(toUnixTimestamp64Milli(ifNull(parseDateTime64BestEffortOrNull({at:String}, 3, 'UTC'), max(last_active))), 0) / 3600000))
        AS hours_since_1970,
    toDateTime64(hours_since_1970 * 3600, 3, 'UTC') AS hour
FROM developers;

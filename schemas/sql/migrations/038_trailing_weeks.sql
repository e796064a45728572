-- Grain: one row for each of the last weeks up to an hour: SELECT * FROM trailing_weeks(at = '', weeks = 8). Columns: `weeks_back`, 0 for
--   the latest week, and `week_end`, the end of its seven days (UTC). Weeks before the first event are left out.
-- Key: weeks_back.
-- Engine: a view with parameters over `hour_at` and `developers`.
CREATE OR REPLACE VIEW trailing_weeks /* ON CLUSTER */
AS
WITH (SELECT hour FROM /* database */hour_at(at = {at:String})) AS latest
SELECT number AS weeks_back, assumeNotNull(latest) - toIntervalWeek(number) AS week_end
FROM numbers({weeks:UInt32})
WHERE week_end > (SELECT min(first_seen) FROM developers);

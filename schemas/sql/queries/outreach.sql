-- Outreach (talks, tutorials, events, whatever its selector matches) against sign-ups, by technology or another segment and week:
-- outreach held, pieces of content that people touched, sign-ups.
-- segment = technology: a segment that is read from events
-- level = developer: developer or company: whose touches and sign-ups
-- value = : one value of the segment; empty for all
-- from = : weeks from that of this time on, UTC; empty for all
-- to = : weeks before this time, UTC; empty for all
-- names: segment of read_segments
-- topic: attribution
-- chart: bar value outreach touches signups
--   week: its Monday
--   value: of the segment; (none): the events do not say
--   outreach: talks, tutorials and the like that were held
--   touches: pieces of content that people touched
--   signups: subjects that signed up
SELECT week, if(outreach_weeks.value = '', '(none)', outreach_weeks.value) AS value, outreach, touches, signups
FROM outreach_weeks(segment = {segment:String}, level = {level:String}) AS outreach_weeks
WHERE ({value:String} = '' OR outreach_weeks.value = {value:String})
    AND week >= toMonday(coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1971-01-01', 3, 'UTC')))
    AND week < coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01', 3, 'UTC'))
ORDER BY week, value

-- title: Outreach against sign-ups, by technology or another segment and week
-- description: >-
--   Outreach held (talks, tutorials, events: what its selector matches), pieces of content that people touched,
--   sign-ups.
-- topic: attribution
-- parameters:
--   segment: {default: technology, names: read_segments, meaning: a segment that is read from events}
--   level: {values: [developer, company], default: developer, meaning: the level of touches and sign-ups}
--   value: {meaning: one value of the segment; empty for all}
--   from: {type: Time, meaning: 'weeks from that of this time on, UTC; empty for all'}
--   to: {type: Time, meaning: 'weeks before this time, UTC; empty for all'}
-- chart: {kind: bar, label: value, numbers: [outreach, touches, signups]}
-- columns:
--   week: its Monday
--   value: 'of the segment; (none): the events have none'
--   outreach: talks, tutorials and the like that were held
--   touches: pieces of content that people touched
--   signups: subjects that signed up
SELECT week, if(outreach_weeks.value = '', '(none)', outreach_weeks.value) AS value, outreach, touches, signups
FROM outreach_weeks(segment = {segment:String}, level = {level:String}) AS outreach_weeks
WHERE ({value:String} = '' OR outreach_weeks.value = {value:String})
    AND week >= toMonday(coalesce(parseDateTime64BestEffortOrNull({from:String}, 3, 'UTC'), toDateTime64('1971-01-01', 3, 'UTC')))
    AND week < coalesce(parseDateTime64BestEffortOrNull({to:String}, 3, 'UTC'), toDateTime64('2200-01-01', 3, 'UTC'))
ORDER BY week, value

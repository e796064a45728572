-- Refused messages that name any of the ids, as a word of its own.
FROM dead_letter_rows WHERE match(payload, {pattern:String}) OR match(detail, {pattern:String})

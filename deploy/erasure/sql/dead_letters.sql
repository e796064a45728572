-- How many refused messages name any of the ids.
SELECT count() FROM dead_letter_rows WHERE match(payload, {pattern:String}) OR match(detail, {pattern:String})

-- Every merge of two users. A device that names itself as the previous id is none.
SELECT DISTINCT previous_id, time, user_id
FROM event_rows
WHERE type = 'merge' AND user_id != '' AND previous_id NOT IN ('', anonymous_id)

-- Where each merged user id leads by its latest merge.
SELECT merged_id, max((time, user_id)).2 AS target FROM {marked:Identifier} WHERE merged_id != '' GROUP BY merged_id

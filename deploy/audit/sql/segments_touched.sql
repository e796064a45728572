-- Values of segments that are a field of the first touch.
INSERT INTO {segments:Identifier}
SELECT level, id, one.1 AS segment, arrayFirst(field -> field.1 = one.2, fields).2 AS value, [], 0
FROM {first_touches:Identifier}
ARRAY JOIN arrayZip({touch_segments:Array(String)}, {touch_fields:Array(String)}) AS one
WHERE value != ''

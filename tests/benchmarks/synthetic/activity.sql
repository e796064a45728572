-- The activity of the synthetic population, from its counted usage: hours of its tokens, developers and companies by day.
INSERT INTO activity_rows (level, id, environment, day, hours, version)
SELECT
    subject.1 AS level, subject.2 AS id, environment, day, toUInt32(groupBitOr(bitShiftLeft(toUInt32(1), sipHash64(alias, day, events) % 24))) AS hours, 1
FROM usage_resolved
ARRAY JOIN [('token', api_key), ('developer', developer_id), ('company', company_id)] AS subject
WHERE source = 'api' AND api_key != '' AND subject.2 != '' AND NOT startsWith(subject.2, 'api_key:')
GROUP BY level, id, environment, day

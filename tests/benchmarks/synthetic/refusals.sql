-- Refused messages: 200,000 of 90 days, of which one in ten was replayed.
INSERT INTO dead_letter_rows (topic, partition, offset, reason, field, detail, payload, recorded_at)
SELECT
    ['web-events', 'api-events'][1 + number % 2], number % 12, number, ['not_json', 'no_identifier', 'future', 'wrong_type'][1 + sipHash64(number) % 4], '',
    'the message is no JSON', '{"name":"Page Viewed","anonymous_id', toDateTime64('2026-01-01 00:00:00', 3, 'UTC') + toIntervalSecond(38 * number)
FROM numbers(200000)

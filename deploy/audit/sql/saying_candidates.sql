-- What events can say of segments, each different one once. Copies of events do no harm here.
SELECT sipHash64(said) AS hash, said
FROM (SELECT DISTINCT /* said */ AS said FROM event_rows WHERE NOT is_bot)
WHERE arrayExists(text -> text != '', said)

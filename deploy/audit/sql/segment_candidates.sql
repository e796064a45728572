-- Texts of the fields that segments are read from, each different combination once. Copies of events do no harm here.
SELECT sipHash64(texts) AS hash, texts
FROM (SELECT DISTINCT /* segment fields */ AS texts FROM event_rows WHERE NOT is_bot)
WHERE arrayExists(text -> text != '', texts)

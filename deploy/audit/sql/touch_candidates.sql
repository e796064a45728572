-- Parts of events that may be touches, each different combination once. Copies of events do no harm here.
SELECT sipHash64(parts) AS hash, untuple(parts)
FROM (SELECT DISTINCT /* touch parts */ AS parts FROM event_rows WHERE /* may be touch */)

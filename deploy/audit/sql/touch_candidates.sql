-- What touches can be made of, each different one once. Copies of events do no harm here.
SELECT sipHash64(made_of) AS hash, untuple(made_of)
FROM (SELECT DISTINCT /* made of */ AS made_of FROM event_rows WHERE /* may be touch */)

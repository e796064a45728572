-- Grain: one row an event of one developer, as in `events_resolved`: SELECT * FROM journey(developer = 'u1') ORDER BY time.
-- Key: as of `events`.
-- Engine: a view with a parameter. It first finds the aliases that may have events of the developer (`aliases_of`), so that only their
--   events are read; which of these are the developer's own is then decided as always. Where they lie is found by the alias, which
--   they are by its hash, a number; that is part of the key, so it may be compared before copies are merged: then the texts of
--   other events are not read (the setting). They are looked for once, though asked for twice (`found`).
CREATE OR REPLACE VIEW journey /* ON CLUSTER */
AS
WITH
    (SELECT groupUniqArray((alias_kind, alias)) FROM /* database */aliases_of(company = '', developer = {developer:String})) AS found
SELECT * FROM events_resolved
WHERE indexHint((alias_kind, alias) IN (SELECT one.1, one.2 FROM (SELECT arrayJoin(found) AS one)))
    AND alias_hash IN (SELECT cityHash64(one.1, one.2) FROM (SELECT arrayJoin(found) AS one))
    AND developer_id = {developer:String}
SETTINGS optimize_move_to_prewhere_if_final = 1;

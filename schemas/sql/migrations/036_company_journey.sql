-- Grain: one row an event of one company, as in `events_resolved`: SELECT * FROM company_journey(company = 'acme') ORDER BY time.
-- Key: as of `events`.
-- Engine: a view with a parameter. It first finds the aliases that may have events of the company (`aliases_of`): of its users and keys, or
--   with events that name it or carry one of its keys. Only their events are read; which of these are the company's is then decided
--   as always. Where they lie, and which they are, is found as in `journey`. Those of a company with thousands of aliases lie
--   everywhere: ask for a period by `time`.
CREATE OR REPLACE VIEW company_journey /* ON CLUSTER */
AS
WITH
    (SELECT groupUniqArray((alias_kind, alias)) FROM /* database */aliases_of(company = {company:String}, developer = '')) AS found
SELECT * FROM events_resolved
WHERE indexHint((alias_kind, alias) IN (SELECT one.1, one.2 FROM (SELECT arrayJoin(found) AS one)))
    AND alias_hash IN (SELECT cityHash64(one.1, one.2) FROM (SELECT arrayJoin(found) AS one))
    AND company_id = {company:String}
SETTINGS optimize_move_to_prewhere_if_final = 1;

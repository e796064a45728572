-- Grain: one row for each alias that leads to a company, or led to a developer at some time: SELECT * FROM aliases_of(company = 'acme', developer = '').
--   With both it is those of either. Only `alias_owners` decides whose an event is: a shared device is here for each of its developers,
--   and the companies that events carry themselves are not looked at.
-- Key: alias_hash.
-- Engine: a view with parameters over alias_owners: what to ask for first, so that only the rows of these aliases are read.
CREATE OR REPLACE VIEW aliases_of /* ON CLUSTER */
AS
SELECT alias_kind, alias, alias_hash
FROM alias_owners
WHERE (company_id != '' AND company_id = {company:String}) OR (developer_id != '' AND developer_id = {developer:String})
UNION DISTINCT
-- A developer of whom nothing else is known.
SELECT alias_kind, alias, cityHash64(alias_kind, alias) AS alias_hash
FROM
(
    SELECT
        arrayJoin([
            ('user_id', {developer:String}),
            (substring({developer:String}, 1, position({developer:String}, ':') - 1), substring({developer:String}, position({developer:String}, ':') + 1))
        ]) AS own,
        CAST(own.1, 'LowCardinality(String)') AS alias_kind, own.2 AS alias
)
WHERE alias != '';

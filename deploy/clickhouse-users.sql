-- The least rights on a ClickHouse server for each thing that Firstcall does there. For its administrator, once, before `firstcall migrate`:
--
--   clickhouse-client --multiquery --param_migrator_hash=... --param_writer_hash=... --param_reader_hash=... < clickhouse-users.sql
--
-- A hash is that of a password: printf %s "$PASSWORD" | sha256sum. The name `firstcall*` is the database in FIRSTCALL_CLICKHOUSE, and those
-- that belong to it: of later generations (firstcall_g2), and of views on their way (firstcall_views). On a cluster put ON CLUSTER name
-- behind each CREATE and GRANT, and let the migrator do the same: GRANT CLUSTER ON *.* TO firstcall_migrator (not tried on a cluster).
--
-- firstcall_migrator   migrate, rebuild, audit, erase, dead-letters replay: makes, changes and drops tables and views
-- firstcall_writer     sink, alerts: adds rows; deletes and changes none
-- firstcall_reader     dashboards, query, doctor: reads

CREATE ROLE IF NOT EXISTS firstcall_migrator;
CREATE ROLE IF NOT EXISTS firstcall_writer;
CREATE ROLE IF NOT EXISTS firstcall_reader SETTINGS readonly = 2, max_execution_time = 120, max_result_rows = 10000000;

GRANT CREATE DATABASE, DROP DATABASE, CREATE TABLE, DROP TABLE, CREATE VIEW, DROP VIEW, ALTER, TRUNCATE, OPTIMIZE, SELECT, INSERT, SHOW ON firstcall*.* TO firstcall_migrator;
GRANT SELECT ON system.mutations TO firstcall_migrator;
GRANT SELECT ON system.parts TO firstcall_migrator;
GRANT SELECT ON system.tables TO firstcall_migrator;
GRANT SELECT ON system.columns TO firstcall_migrator;
GRANT SELECT ON system.clusters TO firstcall_migrator;

GRANT SELECT, INSERT ON firstcall*.* TO firstcall_writer;

GRANT SELECT ON firstcall*.* TO firstcall_reader;

CREATE USER IF NOT EXISTS firstcall_migrator IDENTIFIED WITH sha256_hash BY {migrator_hash:String} DEFAULT ROLE firstcall_migrator;
CREATE USER IF NOT EXISTS firstcall_writer IDENTIFIED WITH sha256_hash BY {writer_hash:String} DEFAULT ROLE firstcall_writer;
CREATE USER IF NOT EXISTS firstcall_reader IDENTIFIED WITH sha256_hash BY {reader_hash:String} DEFAULT ROLE firstcall_reader;

GRANT firstcall_migrator TO firstcall_migrator;
GRANT firstcall_writer TO firstcall_writer;
GRANT firstcall_reader TO firstcall_reader;

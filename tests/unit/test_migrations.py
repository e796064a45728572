"""Migrations: what a database has run is recorded, an edited file is refused, and a cluster gets the same tables."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clickhouse_connect.driver import Client

from schemas.errors import ClickHouseError
from sinks.clickhouse import Address, StatementError, connect
from sinks.migrations import Migration, load_migrations, migrate, pending_migrations, render

SHIPPED = load_migrations()
TABLES = [migration for migration in SHIPPED if migration.name.endswith("_rows") or migration.name == "migrations"]
CLUSTER = "three_replicas"


@pytest.fixture
def empty(clickhouse, unique):
    """The address of a database that does not exist yet."""
    address = Address.parse(f"{clickhouse}/{unique}")
    yield address
    with connect(address, database="default") as client:
        client.command(f"DROP DATABASE IF EXISTS `{unique}`")


@pytest.fixture(scope="module")
def engine(clickhouse):
    """A client of no database of its own, for asking how ClickHouse reads a statement."""
    with connect(Address.parse(clickhouse), database="default") as client:
        yield client


def written(directory: Path, files: dict[str, str]) -> Path:
    for name, sql in files.items():
        (directory / name).write_text(sql)
    return directory


def columns(client: Client) -> dict[tuple[str, str], tuple[str, str, str]]:
    found = client.query(
        "SELECT table, name, type, default_kind, default_expression FROM system.columns WHERE database = currentDatabase()"
    )
    return {(table, name): (*rest,) for table, name, *rest in found.result_rows}


def engines(client: Client) -> dict[str, tuple[str, str, str]]:
    found = client.query(
        "SELECT name, engine, sorting_key, partition_key FROM system.tables WHERE database = currentDatabase()"
    )
    return {name: (*rest,) for name, *rest in found.result_rows}


def test_an_empty_server_gets_the_database_and_all_objects(empty):
    assert migrate(empty) == SHIPPED
    with connect(empty) as client:
        assert set(engines(client)) == {migration.name for migration in SHIPPED}


def test_a_migrated_database_has_nothing_to_run(empty):
    migrate(empty)
    assert pending_migrations(empty) == []
    assert migrate(empty) == []


def test_a_run_that_was_interrupted_goes_on_where_it_stopped(empty):
    migrate(empty, migrations=SHIPPED[:5])
    with connect(empty) as client:
        # The sixth ran, and its runner was killed before it recorded that.
        client.command(SHIPPED[5].sql)
    assert pending_migrations(empty) == SHIPPED[5:]
    assert migrate(empty) == SHIPPED[5:]


def test_two_runners_at_once_do_no_harm(empty):
    with ThreadPoolExecutor(2) as threads:
        for run in [threads.submit(migrate, empty) for _ in range(2)]:
            run.result()
    assert pending_migrations(empty) == []


def test_a_database_that_is_not_there_has_no_pending_files_but_an_error(empty):
    with pytest.raises(StatementError) as caught:
        pending_migrations(empty)
    assert caught.value.name == "UNKNOWN_DATABASE"
    assert "firstcall migrate" in str(caught.value)


def test_an_edited_file_is_refused_before_anything_runs(empty, tmp_path):
    files = {"001_migrations.sql": SHIPPED[0].sql, "002_one.sql": "CREATE VIEW one AS SELECT 1"}
    migrate(empty, migrations=load_migrations(written(tmp_path, files)))
    files = {"002_one.sql": "CREATE VIEW one AS SELECT 2", "003_two.sql": "CREATE VIEW two AS SELECT 2"}
    edited = load_migrations(written(tmp_path, files))
    with pytest.raises(
        ClickHouseError, match=r"002_one\.sql is not the file that .* has run on .* into a new file, 004_"
    ):
        migrate(empty, migrations=edited)
    with pytest.raises(ClickHouseError):
        pending_migrations(empty, edited)
    with connect(empty) as client:
        assert set(engines(client)) == {"migrations", "one"}


def test_a_database_that_a_newer_version_migrated_is_refused(empty):
    migrate(empty)
    with pytest.raises(ClickHouseError, match=rf"migration {len(SHIPPED):03d}, which this version .* does not know"):
        migrate(empty, migrations=SHIPPED[:-1])


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["001_a.sql", "003_b.sql"], "003_b.sql: the number 002 is expected"),
        (["001_a.sql", "001_b.sql"], "001_b.sql: the number 002 is expected"),
        (["first.sql"], "first.sql: a migration is named like"),
        (["001_Tables.sql"], "001_Tables.sql: a migration is named like"),
    ],
)
def test_a_directory_with_a_wrong_name_or_a_gap_is_refused(tmp_path, names, complaint):
    with pytest.raises(ClickHouseError, match=re.escape(complaint)):
        load_migrations(written(tmp_path, dict.fromkeys(names, "SELECT 1")))


@pytest.mark.parametrize("name", ["a`b", "a b", "", "a'b"])
def test_a_database_that_cannot_be_quoted_is_refused(clickhouse, name):
    address = Address.parse(clickhouse)
    with pytest.raises(ValueError, match="cannot be the name of a database"):
        migrate(Address(address.host, address.port, name, address.user, address.password, address.secure))


def test_a_cluster_that_clickhouse_does_not_know_is_refused(empty):
    with pytest.raises(ClickHouseError, match="knows no cluster 'three_replicas'"):
        migrate(empty, cluster=CLUSTER)


@pytest.mark.parametrize("migration", SHIPPED, ids=lambda migration: migration.file_name)
def test_a_file_has_grain_key_and_engine_and_holds_one_object(migration):
    comment, _, statement = migration.sql.partition("CREATE ")
    assert re.match(r"-- Grain: .*\n(-- .*\n)*-- Key: .*\n(--   .*\n)*-- Engine: ", comment), comment
    assert re.match(rf"(TABLE IF NOT EXISTS|OR REPLACE VIEW) {migration.name} /\* ON CLUSTER \*/\n", statement)
    assert "CREATE" not in statement
    assert re.findall(r";\s*$", statement, re.MULTILINE) == [";\n"]


@pytest.mark.parametrize("migration", SHIPPED, ids=lambda migration: migration.file_name)
def test_the_cluster_rendering_is_what_clickhouse_reads_as_such(engine, migration):
    formatted = engine.query("SELECT formatQuery({sql:String})", {"sql": render(migration.sql, CLUSTER)}).result_rows[
        0
    ][0]
    assert re.match(
        rf"CREATE (TABLE IF NOT EXISTS|OR REPLACE VIEW) {migration.name} ON CLUSTER `?{CLUSTER}`?\n", formatted
    )
    replicated = re.findall(r"ENGINE = (\w+)", formatted)
    assert replicated == (["ReplicatedReplacingMergeTree"] if migration in TABLES else [])


def test_the_cluster_rendering_creates_the_same_tables(empty, database):
    def without_cluster(migration: Migration) -> Migration:
        sql = render(migration.sql, CLUSTER)
        assert sql != migration.sql
        sql = re.sub(rf" ON CLUSTER `{CLUSTER}`", "", sql)
        return migration._replace(sql=re.sub(r"\bReplicated(?=\w*MergeTree)", "", sql))

    migrate(empty, migrations=[without_cluster(migration) for migration in SHIPPED])
    with connect(empty) as rendered, connect(Address.parse(database)) as plain:
        assert columns(rendered) == columns(plain)
        assert engines(rendered) == engines(plain)


@pytest.mark.parametrize("cluster", ["", "a b", "x`; DROP DATABASE y", "'"])
def test_a_cluster_that_cannot_be_quoted_is_refused(cluster):
    with pytest.raises(ValueError, match="cannot be the name of a cluster"):
        render("SELECT 1", cluster)


def test_every_object_and_column_has_a_comment(database):
    with connect(Address.parse(database)) as client:
        silent = client.query(
            # The engine keeps no comment of a view with parameters.
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
            " AND NOT match(create_table_query, '\\{\\w+:\\w+')"
            " UNION ALL SELECT table || '.' || name FROM system.columns WHERE database = currentDatabase() AND comment = ''"
        ).result_rows
    assert silent == []


def test_times_of_the_read_contract_are_milliseconds_in_utc(database):
    views = [migration.name for migration in SHIPPED if migration not in TABLES]
    with connect(Address.parse(database)) as client:
        times = {
            (table, name, kind.removeprefix("Nullable(").removesuffix(")") if kind.startswith("Nullable") else kind)
            for (table, name), (kind, *_) in columns(client).items()
            if table in views
            and (name == "hour" or name == "time" or name.endswith(("_at", "_time", "_seen", "_active")))
        }
    assert len(times) > 20
    assert {kind for *_, kind in times} == {"DateTime64(3, 'UTC')"}

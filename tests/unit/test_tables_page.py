"""The page of tables, views and queries agrees with the SQL."""

from __future__ import annotations

import pytest

from schemas.sql.tables_page import PAGE, documented, page
from sinks.migrations import load_migrations
from tests.support.contract_reader import rows

MIGRATIONS = load_migrations()


def test_the_committed_page_is_current():
    assert PAGE.read_text("utf-8") == page(), "run `make docs`"


@pytest.mark.parametrize("migration", MIGRATIONS, ids=lambda migration: migration.name)
def test_a_header_has_grain_key_and_engine(migration):
    header = documented(migration.sql).header
    assert all(f"{word}: " in header for word in ("Grain", "Key", "Engine")), header


def test_the_page_has_every_column_of_the_database(client):
    found: dict[str, dict[str, str]] = {}
    for table, name, comment in rows(
        client, "SELECT table, name, comment FROM system.columns WHERE database = currentDatabase() AND comment != ''"
    ):
        found.setdefault(table, {})[name] = comment
    documented_columns = {
        each.name: {name: meaning for name, _, meaning in each.columns}
        for each in (documented(one.sql) for one in MIGRATIONS)
    }
    assert {name: columns for name, columns in documented_columns.items() if columns} == found


def test_every_column_of_a_view_without_parameters_has_a_comment(client):
    without = rows(
        client,
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = ''"
        " AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine != 'View' OR as_select NOT LIKE '%{%')",
    )
    assert without == []

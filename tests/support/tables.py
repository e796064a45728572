"""Databases for tests of the tables: made once for a file, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from clickhouse_connect.driver import Client

from sinks.clickhouse import Address, connect
from sinks.migrations import load_migrations, migrate

ROW_TABLES = [migration.name for migration in load_migrations() if migration.name.endswith("_rows")]


@contextmanager
def fresh_database(clickhouse: str) -> Iterator[Address]:
    """A database of the server at `clickhouse` with all tables and views, dropped in the end."""
    address = Address.parse(f"{clickhouse}/t{uuid4().hex[:12]}")
    migrate(address)
    try:
        yield address
    finally:
        with connect(address, database="default") as client:
            client.command(f"DROP DATABASE `{address.database}`")


def empty_tables(client: Client) -> None:
    """Remove all rows."""
    for table in ROW_TABLES:
        client.command(f"TRUNCATE TABLE {table}")

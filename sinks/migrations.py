"""Brings a ClickHouse database to the tables and views of `schemas/sql`, one numbered file after the other.

A file runs once for each database and is recorded with its checksum. It must not change after that: a change is a new
file. Files are plain SQL for one server. Two comments in them mark where a cluster needs `ON CLUSTER` or a replicated engine;
rendering replaces just those. A third marks where a view reads a view with parameters: ClickHouse stores that name as it is
written, and would look it up in the database of the reader.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from clickhouse_connect.driver import Client

from schemas.errors import ClickHouseError
from sinks.clickhouse import Address, connected

ON_CLUSTER: Final = "/* ON CLUSTER */"
REPLICATED: Final = "/* Replicated */"
DATABASE: Final = "/* database */"

_FILE_NAME: Final = re.compile(r"(\d{3})_([a-z0-9_]+)\.sql")
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Migration(NamedTuple):
    """A file of `schemas/sql`. `checksum` is the SHA-256 of its text, in hex."""

    number: int
    name: str
    sql: str
    checksum: str

    @property
    def file_name(self) -> str:
        return f"{self.number:03d}_{self.name}.sql"


def load_migrations(directory: Traversable | None = None) -> list[Migration]:
    """The files of a directory, by default the shipped ones, in the order of their numbers.

    Raises ClickHouseError for a name without a number, and for a number that is missing or used twice.
    """
    found = []
    for entry in (directory or files("schemas") / "sql" / "migrations").iterdir():
        if not entry.name.endswith(".sql"):
            continue
        named = _FILE_NAME.fullmatch(entry.name)
        if named is None:
            raise ClickHouseError(f"{entry.name}: a migration is named like 017_some_name.sql")
        sql = entry.read_text("utf-8")
        found.append(Migration(int(named[1]), named[2], sql, hashlib.sha256(sql.encode()).hexdigest()))
    found.sort()
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise ClickHouseError(f"{migration.file_name}: the number {expected:03d} is expected here")
    return found


def render(sql: str, cluster: str | None = None, database: str | None = None) -> str:
    """A file's SQL for one server, or for a cluster: ON CLUSTER, and engines that replicate at their default path.

    Views with parameters are those of the database, if one is named. Raises ValueError for the name of a cluster or database
    that is none.
    """
    if database is not None:
        sql = sql.replace(DATABASE, f"`{_database(database)}`.")
    if cluster is None:
        return sql
    if not _IDENTIFIER.fullmatch(cluster):
        raise ValueError(f"{cluster!r} cannot be the name of a cluster")
    return sql.replace(ON_CLUSTER, f"ON CLUSTER `{cluster}`").replace(REPLICATED, "Replicated")


def migrate(
    address: Address, *, cluster: str | None = None, migrations: Sequence[Migration] | None = None
) -> list[Migration]:
    """Create the database if there is none, run the files that it has not run, and return them.

    Running it again, or twice at once, does no harm. Raises ClickHouseError before anything is changed when a file is
    not the one that ran, or the database is ahead of the files; StatementError or UnavailableError from ClickHouse.
    """
    wanted = load_migrations() if migrations is None else list(migrations)
    _create_database(address, cluster)
    with connected(address) as client:
        applied = _applied(client)
        pending = _pending(wanted, applied, address)
        for migration in pending:
            client.command(render(migration.sql, cluster, address.database))
            _record(client, migration)
    return pending


def pending_migrations(address: Address, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """The files that the database has not run yet; changes nothing.

    Raises as `migrate` does; a database that is not there yet is a StatementError named UNKNOWN_DATABASE.
    """
    with connected(address) as client:
        return _pending(load_migrations() if migrations is None else list(migrations), _applied(client), address)


def _database(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a database")
    return name


def _create_database(address: Address, cluster: str | None) -> None:
    _database(address.database)
    with connected(address, database="default") as client:
        if cluster is not None:
            _check_shards(client, cluster)
        # Asked first, so that a user who may not create databases can migrate one that an administrator made.
        if not client.command(f"EXISTS DATABASE `{address.database}`"):
            client.command(render(f"CREATE DATABASE IF NOT EXISTS `{address.database}` {ON_CLUSTER}", cluster))


def _check_shards(client: Client, cluster: str) -> None:
    """Every server of the cluster holds all rows, so that the views need no other server."""
    query = "SELECT uniqExact(shard_num) FROM system.clusters WHERE cluster = {cluster:String}"
    shards = client.query(query, {"cluster": cluster}).result_rows[0][0]
    if shards == 0:
        raise ClickHouseError(f"ClickHouse knows no cluster {cluster!r}; system.clusters lists those it knows")
    if shards > 1:
        raise ClickHouseError(
            f"the cluster {cluster!r} has {shards} shards; Firstcall needs one of a single shard, with any number of replicas"
        )


def _applied(client: Client) -> dict[int, tuple[str, str, str]]:
    """Number to (name, checksum, when) of the files that ran."""
    if not client.command("EXISTS TABLE migrations"):
        return {}
    rows = client.query("SELECT number, name, checksum, toString(applied_at) FROM migrations FINAL").result_rows
    return {number: (name, checksum, applied_at) for number, name, checksum, applied_at in rows}


def _pending(
    wanted: Sequence[Migration], applied: dict[int, tuple[str, str, str]], address: Address
) -> list[Migration]:
    ahead = sorted(set(applied) - {migration.number for migration in wanted})
    if ahead:
        raise ClickHouseError(
            f"{address} has run migration {ahead[-1]:03d}, which this version of Firstcall does not know: it was migrated by"
            " a newer one. Run that version"
        )
    for migration in wanted:
        if migration.number in applied:
            name, checksum, applied_at = applied[migration.number]
            if checksum != migration.checksum:
                raise ClickHouseError(
                    f"{migration.file_name} is not the file that {address} has run on {applied_at} UTC"
                    f" as {migration.number:03d}_{name}.sql (SHA-256 {migration.checksum[:12]}, then {checksum[:12]})."
                    f" Restore it, and put the change into a new file, {len(wanted) + 1:03d}_<name>.sql"
                )
    return [migration for migration in wanted if migration.number not in applied]


def _record(client: Client, migration: Migration) -> None:
    client.command(
        "INSERT INTO migrations (number, name, checksum, applied_at)"
        " SELECT {number:UInt16}, {name:String}, {checksum:String}, now64(3, 'UTC')",
        {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
    )

"""The one chDB engine of a data directory, locked in: its user may read and write tables there and nothing else.

Any number of connections to the engine work at the same time, in threads; what one sets, another does not see.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import chdb

from schemas.errors import DeploymentError

QUERY_THREADS: Final = 2
#: What all that runs may take together, where the machine has it.
MEMORY_BYTES: Final = 4 * 1024**3

_SETTING_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_SETTING_MISSPELT: Final = 115
_WHY_DENIED: Final = (
    "The embedded ClickHouse keeps to its own tables: no files, URLs, other servers, programs or users. "
    "Use a ClickHouse server for that (FIRSTCALL_CLICKHOUSE)"
)
#: What the one user may do. To what lies outside there is no grant.
GRANTS: Final = (
    (
        "GRANT SELECT, INSERT, ALTER, DROP, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, SHOW, KILL QUERY, dictGet, "
        "CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY, CREATE FUNCTION, DROP FUNCTION, "
        "CREATE TEMPORARY TABLE, CREATE ARBITRARY TEMPORARY TABLE, displaySecretsInShowAndSelect, "
        "SYSTEM RELOAD DICTIONARY, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM MOVES, SYSTEM VIEWS, SYSTEM DROP CACHE, "
        "SYSTEM FLUSH LOGS ON *.*"
    ),
)


@dataclass(frozen=True)
class Failure:
    """The engine's answer is an error, with ClickHouse's code and text."""

    code: int
    text: str


@dataclass(frozen=True)
class Answer:
    """What a statement gave: its rows in the format asked for, and what it cost."""

    body: bytes
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    seconds: float = 0.0


class Engine:
    """The engine of a directory. Raises DeploymentError when it cannot be opened.

    `incoming` is a folder for data on its way into a table; it is empty when the engine opens.
    """

    def __init__(self, directory: Path, grants: Sequence[str] = GRANTS) -> None:
        self.directory = directory
        self.incoming = directory / "incoming"
        shutil.rmtree(self.incoming, ignore_errors=True)
        self.incoming.mkdir(parents=True)
        if unsafe := set("?&#%;") & set(str(directory)):
            raise DeploymentError(
                f"chDB cannot use {directory}: {' '.join(sorted(unsafe))} in the path; choose another one"
            )
        self._address = f"{directory}?config-file={_write_configuration(directory, grants)}"
        self._first = _open(self._address, directory)
        self._settle_default_database()
        version = run(self._first, b"SELECT version()", "TabSeparated")
        assert isinstance(version, Answer), "it has a version"
        self.version = version.body.decode().strip()

    def connect(self) -> Any:
        """Another connection, which the caller closes. Takes about a quarter of a millisecond."""
        return chdb.connect(self._address)

    def cancel_statements(self) -> None:
        """End what runs now; whoever asked for it gets an error."""
        run(self._first, b"KILL QUERY WHERE query NOT LIKE 'KILL QUERY%' ASYNC", "Null")

    def let_merges(self, *, run_on: bool) -> Failure | None:
        """Stop all merges, those at work too, or let them go on."""
        done = run(self._first, b"SYSTEM START MERGES" if run_on else b"SYSTEM STOP MERGES", "Null")
        return done if isinstance(done, Failure) else None

    def close(self) -> None:
        """Close the engine, once all other connections are closed."""
        self._first.close()

    def _settle_default_database(self) -> None:
        """Make `default` a plain database of tables.

        By itself chDB lays the file system under it, so that each name that is no table, and each table to be created,
        is looked for among the files, and refused as such.
        """
        asked = b"SELECT uuid, (SELECT count() FROM system.tables WHERE database = 'default') FROM system.databases "
        found = run(self._first, asked + b"WHERE name = 'default'", "TabSeparated")
        uuid, tables = found.body.decode().split() if isinstance(found, Answer) and found.body else ("", "0")
        # An empty one cannot be attached again, and one of tables must not be dropped.
        if tables == "0":
            statements = ["DROP DATABASE IF EXISTS default", "CREATE DATABASE default ENGINE = Atomic"]
        else:
            statements = ["DETACH DATABASE default", f"ATTACH DATABASE default UUID '{uuid}' ENGINE = Atomic"]
        for statement in statements:
            done = run(self._first, statement.encode(), "Null")
            if isinstance(done, Failure):
                raise DeploymentError(f"chDB cannot use {self.directory}: {done.text}")


def run(
    connection: Any, statement: bytes, answer_format: str, parameters: Mapping[str, str] | None = None
) -> Answer | Failure:
    """Run one statement and have all of its answer."""
    try:
        result = connection.query(statement, answer_format, params=dict(parameters or {}))
    except RuntimeError as error:
        return failure(error)
    return Answer(
        body=result.bytes() or b"",
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        result_rows=result.rows_read(),
        seconds=result.elapsed(),
    )


def stream(
    connection: Any, statement: bytes, answer_format: str, parameters: Mapping[str, str]
) -> Iterator[bytes | Failure]:
    """Run one statement and yield its answer block by block; a failure ends it."""
    try:
        blocks = connection.send_query(statement, answer_format, params=dict(parameters))
    except RuntimeError as error:
        yield failure(error)
        return
    try:
        for block in blocks:
            yield block.bytes()
    except RuntimeError as error:
        yield failure(error)
    finally:
        with suppress(RuntimeError):
            blocks.close()


def failure(error: Exception) -> Failure:
    """The engine's error as ClickHouse would send it."""
    text = str(error)
    found = re.search(r"Code: (\d+)\. DB::.*", text, re.DOTALL)
    if found is None:
        return Failure(1002, f"Code: 1002. DB::Exception: {text.strip() or 'no reason given'}. (UNKNOWN_EXCEPTION)")
    text, code = found[0].strip(), int(found[1])
    # Its name stays the last word: clients look for it there.
    return Failure(code, text.replace("(ACCESS_DENIED)", f"{_WHY_DENIED}. (ACCESS_DENIED)"))


def apply_settings(connection: Any, settings: Mapping[str, str]) -> Failure | None:
    """Set settings on a connection."""
    if not settings:
        return None
    for name in settings:
        if not _SETTING_NAME.fullmatch(name):
            return Failure(_SETTING_MISSPELT, f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)")
    listed = ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items())
    done = run(connection, f"SET {listed}".encode(), "Null")
    return done if isinstance(done, Failure) else None


def use_database(connection: Any, database: str) -> Failure | None:
    """Make unqualified names be those of a database."""
    done = run(connection, f"USE {named(database)}".encode(), "Null")
    return done if isinstance(done, Failure) else None


@contextmanager
def preserved(connection: Any, settings: Sequence[str]) -> Iterator[None]:
    """Have settings and the database in use as they were before, afterwards."""
    names = ", ".join(quoted(name) for name in settings) or "''"
    asked = (
        f"SELECT name, value, changed, currentDatabase() AS database FROM system.settings WHERE name IN ({names}) "  # noqa: S608 - quoted
        "UNION ALL SELECT '', '', 0, currentDatabase()"
    )
    before = run(connection, asked.encode(), "JSONEachRow")
    yield
    if isinstance(before, Failure):
        return
    for line in before.body.splitlines():
        row = json.loads(line)
        if row["name"]:
            value = quoted(row["value"].strip("'")) if row["changed"] else "DEFAULT"
            run(connection, f"SET {row['name']} = {value}".encode(), "Null")
        else:
            use_database(connection, row["database"])


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def named(name: str) -> str:
    """A name as SQL, whatever is in it."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _open(address: str, directory: Path) -> Any:
    """The engine's first connection. Raises DeploymentError, which names the table that cannot be loaded where it is that."""
    with _standard_error_kept() as said:
        try:
            return chdb.connect(address)
        except RuntimeError as error:
            reason = " ".join((said() or failure(error).text).split())
    if "Cannot lock file" in reason:
        raise DeploymentError(
            f"another process holds {directory}, perhaps a chDB session; end it or choose another directory"
        )
    table = re.search(r"Cannot attach table `?([\w.`]+?)`? from", reason) or re.search(r"loading table (\S+)", reason)
    named = f", its table {table[1].replace('`', '')} cannot be loaded" if table else ""
    raise DeploymentError(f"chDB cannot open {directory}{named}: {reason[:1000]}")


@contextmanager
def _standard_error_kept() -> Iterator[Callable[[], str]]:
    """Keep what the engine's own code prints to standard error: there it says why it cannot start, and to nobody else."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)

        def said() -> str:
            kept.seek(0)
            return kept.read().decode("utf-8", "replace")

        try:
            yield said
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _write_configuration(directory: Path, grants: Sequence[str]) -> Path:
    """Write the engine's configuration: its user's grants, its limits, and all of its folders in the directory."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory = min(MEMORY_BYTES, machine // 2)
    folders = ("user_files", "user_scripts", "format_schemas", "dictionaries_lib", "tmp")
    paths = "".join(f"  <{name}_path>{escape(str(directory / name))}/</{name}_path>\n" for name in folders)
    granted = "".join(f"<query>{escape(grant)}</query>" for grant in grants)
    users = directory / "users.xml"
    users.write_text(
        f"""<clickhouse>
  <profiles><default>
    <max_threads>{QUERY_THREADS}</max_threads>
    <max_insert_threads>1</max_insert_threads>
    <max_memory_usage>{memory * 3 // 4}</max_memory_usage>
    <implicit_select>0</implicit_select>
  </default></profiles>
  <users><default>
    <password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    <grants>{granted}</grants>
  </default></users>
  <quotas><default/></quotas>
</clickhouse>
"""
    )
    configuration = directory / "configuration.xml"
    configuration.write_text(
        f"""<clickhouse>
  <users_config>{escape(str(users))}</users_config>
{paths}  <timezone>UTC</timezone>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>{256 * 1024**2}</mark_cache_size>
  <index_mark_cache_size>{64 * 1024**2}</index_mark_cache_size>
  <primary_index_cache_size>{256 * 1024**2}</primary_index_cache_size>
  <background_pool_size>{QUERY_THREADS}</background_pool_size>
  <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
</clickhouse>
"""
    )
    return configuration

"""The one chDB engine of a data directory.

Any number of connections work at the same time, in threads; the settings of one do not reach another. Results are values: an
`Answer`, or the `Failure` that the engine raised.
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
from typing import Any, Final, Literal

import chdb

from deploy.local.clickhouse.configuration import GRANTS, write_configuration
from deploy.local.clickhouse.errors import ErrorCode, Failure
from schemas.errors import DeploymentError

_SETTING_NAME: Final = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Answer:
    """The rows of a statement in the requested format, and its statistics."""

    body: bytes
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    seconds: float = 0.0


class Engine:
    """The engine of a directory. Raises DeploymentError when it cannot be opened.

    `incoming` is the folder for data of an INSERT; it is empty when the engine opens.
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
        self._address = f"{directory}?config-file={write_configuration(directory, grants)}"
        self._first = _open(self._address, directory)
        self._make_default_database_plain()
        version = run(self._first, b"SELECT version()", "TabSeparated")
        assert isinstance(version, Answer), "it has a version"
        self.version = version.body.decode().strip()

    def connect(self) -> Any:
        """Another connection, which the caller closes. Takes about a quarter of a millisecond."""
        return chdb.connect(self._address)

    def cancel_statements(self) -> None:
        """Cancel all running statements. Their clients get an error."""
        run(self._first, b"KILL QUERY WHERE query NOT LIKE 'KILL QUERY%' ASYNC", "Null")

    def switch_merges(self, switch: Literal["START", "STOP"]) -> Failure | None:
        """Stop all merges, running ones too, or allow them again."""
        return _failure_of(run(self._first, f"SYSTEM {switch} MERGES".encode(), "Null"))

    def close(self) -> None:
        """Close the engine, once all other connections are closed."""
        self._first.close()

    def _make_default_database_plain(self) -> None:
        """Make `default` a plain database of tables.

        chDB overlays it with the file system: it looks for each unknown table among the files, which this user may not read.
        """
        query = b"SELECT uuid, (SELECT count() FROM system.tables WHERE database = 'default') FROM system.databases "
        found = run(self._first, query + b"WHERE name = 'default'", "TabSeparated")
        uuid, tables = found.body.decode().split() if isinstance(found, Answer) and found.body else ("", "0")
        # An empty database cannot be attached again, and one with tables must not be dropped.
        if tables == "0":
            statements = ["DROP DATABASE IF EXISTS default", "CREATE DATABASE default ENGINE = Atomic"]
        else:
            statements = ["DETACH DATABASE default", f"ATTACH DATABASE default UUID '{uuid}' ENGINE = Atomic"]
        for statement in statements:
            result = run(self._first, statement.encode(), "Null")
            if isinstance(result, Failure):
                raise DeploymentError(f"chDB cannot use {self.directory}: {result.text}")


def run(
    connection: Any, statement: bytes, answer_format: str, parameters: Mapping[str, str] | None = None
) -> Answer | Failure:
    try:
        result = connection.query(statement, answer_format, params=dict(parameters or {}))
    except RuntimeError as error:
        return Failure.from_engine(error)
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
    """Run one statement and yield its answer block by block; a failure is the last item."""
    try:
        blocks = connection.send_query(statement, answer_format, params=dict(parameters))
    except RuntimeError as error:
        yield Failure.from_engine(error)
        return
    try:
        for block in blocks:
            yield block.bytes()
    except RuntimeError as error:
        yield Failure.from_engine(error)
    finally:
        with suppress(RuntimeError):
            blocks.close()


def apply_settings(connection: Any, settings: Mapping[str, str]) -> Failure | None:
    if not settings:
        return None
    for name in settings:
        if not _SETTING_NAME.fullmatch(name):
            return Failure.of(ErrorCode.UNKNOWN_SETTING, f"Unknown setting {name!r}")
    assignments = ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items())
    return _failure_of(run(connection, f"SET {assignments}".encode(), "Null"))


def use_database(connection: Any, database: str) -> Failure | None:
    return _failure_of(run(connection, f"USE {identifier(database)}".encode(), "Null"))


@contextmanager
def restored(connection: Any, settings: Sequence[str]) -> Iterator[None]:
    """Restore the values of settings and the database in use afterwards."""
    names = ", ".join(quoted(name) for name in settings) or "''"
    query = (
        f"SELECT name, value, changed, currentDatabase() AS database FROM system.settings WHERE name IN ({names}) "  # noqa: S608 - quoted
        "UNION ALL SELECT '', '', 0, currentDatabase()"
    )
    before = run(connection, query.encode(), "JSONEachRow")
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


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _failure_of(result: Answer | Failure) -> Failure | None:
    return result if isinstance(result, Failure) else None


def _open(address: str, directory: Path) -> Any:
    """The engine's first connection. Raises DeploymentError, which names the table that cannot be loaded, if one cannot."""
    with _captured_standard_error() as printed:
        try:
            return chdb.connect(address)
        except RuntimeError as error:
            reason = " ".join((printed() or Failure.from_engine(error).text).split())
    if "Cannot lock file" in reason:
        raise DeploymentError(
            f"another process holds {directory}, perhaps a chDB session; end it or choose another directory"
        )
    table = re.search(r"Cannot attach table `?([\w.`]+?)`? from", reason) or re.search(r"loading table (\S+)", reason)
    detail = f", its table {table[1].replace('`', '')} cannot be loaded" if table else ""
    raise DeploymentError(f"chDB cannot open {directory}{detail}: {reason[:1000]}")


@contextmanager
def _captured_standard_error() -> Iterator[Callable[[], str]]:
    """Capture what the engine's native code prints: the only place where it names the reason that it cannot start."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)

        def printed() -> str:
            captured.seek(0)
            return captured.read().decode("utf-8", "replace")

        try:
            yield printed
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)

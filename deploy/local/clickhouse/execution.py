"""Runs what a request asks for on a connection to the engine. All of it blocks, and is called in threads."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from deploy.local.clickhouse.engine import (
    Answer,
    Engine,
    Failure,
    apply_settings,
    named,
    preserved,
    quoted,
    run,
    stream,
    use_database,
)
from deploy.local.clickhouse.request import ExternalTable, QueryRequest
from deploy.local.clickhouse.sessions import DEFAULT_TIMEOUT_SECONDS, Sessions
from deploy.local.clickhouse.sql_policy import reaches_outside, setting_reaches_outside
from deploy.local.clickhouse.statement import (
    Insert,
    Statement,
    insert_with_data,
    read_statement,
    tokens_of,
)

#: Blocks of these formats, one after the other, are again that format; of others only a whole answer is valid.
STREAMABLE: Final = frozenset(
    {"Native", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "RowBinary", "JSONEachRow"}
)

_BAD_ARGUMENTS: Final = 36
_REFUSED: Final = 497
_SESSION_IS_LOCKED: Final = 373


class Execution:
    """Runs requests on an engine. Connections are each request's own, but those of sessions that keep something."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions = Sessions()

    def answer(self, ask: QueryRequest) -> Answer | Failure:
        """Run what is asked for, and have all of the answer."""
        refused = _refusal(ask.statement, ask.settings, ask.parameters.values())
        if refused is not None:
            return refused
        name = ask.options.get("session_id")
        session = self._sessions.find(name) if name else None
        if session is not None:
            if not session.in_use.acquire(blocking=False):
                text = f"Session {name} is locked by a concurrent client"
                return Failure(_SESSION_IS_LOCKED, f"Code: 373. DB::Exception: {text}. (SESSION_IS_LOCKED)")
            try:
                return _run_in_session(session.connection, ask)
            finally:
                session.in_use.release()
        stateful = isinstance(ask.statement, Statement) and ask.statement.is_stateful
        connection = self._engine.connect()
        if not (name and stateful):
            try:
                return _prepare(connection, ask) or _run(connection, ask)
            finally:
                connection.close()
        answered = _run_in_session(connection, ask)
        self._sessions.keep(name, connection, float(ask.options.get("session_timeout") or DEFAULT_TIMEOUT_SECONDS))
        return answered

    def stream(self, ask: QueryRequest) -> Generator[bytes | Failure]:
        """Run a statement whose answer is rows, and yield them block by block; a failure ends it."""
        assert isinstance(ask.statement, Statement), "data comes from a statement"
        refused = _refusal(ask.statement, ask.settings, ask.parameters.values())
        if refused is not None:
            yield refused
            return
        connection = self._engine.connect()
        try:
            failed = _prepare(connection, ask)
            if failed is not None:
                yield failed
                return
            nothing_yet = True
            for block in stream(connection, ask.statement.body, ask.format, ask.parameters):
                nothing_yet = False
                yield block
            if nothing_yet and ask.format == "Native":
                yield _empty_native(connection, ask, ask.statement)
        finally:
            connection.close()

    def may_stream(self, ask: QueryRequest) -> bool:
        """Whether the answer can be sent as it comes. A client that waits for its end wants a summary instead."""
        return (
            isinstance(ask.statement, Statement)
            and ask.statement.is_selection
            and ask.format in STREAMABLE
            and ask.options.get("wait_end_of_query", "0") == "0"
            and not self._keeps_something(ask)
        )

    def close(self) -> None:
        """Close the connections of sessions."""
        self._sessions.close()

    def _keeps_something(self, ask: QueryRequest) -> bool:
        name = ask.options.get("session_id")
        return bool(name) and self._sessions.find(name or "") is not None


def _refusal(
    statement: Insert | Statement, settings: Iterable[str] = (), parameters: Iterable[str] = ()
) -> Failure | None:
    tokens = (
        statement.tokens if isinstance(statement, Statement) else tuple(tokens_of(statement.into + statement.settings))
    )
    refused_setting = next((name for name in settings if setting_reaches_outside(name)), None)
    reason = (
        f"the setting {refused_setting} is not supported here"
        if refused_setting
        else reaches_outside(tokens, parameters)
    )
    if reason is None:
        return None
    text = f"{reason}. The embedded ClickHouse keeps to its own tables. Use a ClickHouse server for that (FIRSTCALL_CLICKHOUSE)"
    return Failure(_REFUSED, f"Code: {_REFUSED}. DB::Exception: {text}. (ACCESS_DENIED)")


def _run_in_session(connection: Any, ask: QueryRequest) -> Answer | Failure:
    """Run on a connection that others will use: what only this request sets is taken back."""
    keeps = isinstance(ask.statement, Statement) and ask.statement.verb in {"SET", "USE"}
    with ExitStack() as stack:
        # Those that SET and USE come to change are theirs to keep.
        if not keeps:
            stack.enter_context(preserved(connection, tuple(ask.settings)))
        for table in ask.tables:
            stack.callback(run, connection, f"DROP TEMPORARY TABLE IF EXISTS {named(table.name)}".encode(), "Null")
        return (None if keeps else _prepare(connection, ask)) or _run(connection, ask)


def _prepare(connection: Any, ask: QueryRequest) -> Failure | None:
    """Set what the request sets, and fill the tables that it brings."""
    database = ask.options.get("database")
    failed = (use_database(connection, database) if database else None) or apply_settings(connection, ask.settings)
    for table in ask.tables:
        failed = failed or _fill(connection, table)
    if failed is None and ask.read_only:
        failed = apply_settings(connection, {"readonly": "2"})
    return failed


def _fill(connection: Any, table: ExternalTable) -> Failure | None:
    name = named(table.name)
    create = f"CREATE TEMPORARY TABLE {name} ({table.structure})".encode()
    fill = f"INSERT INTO {name} FORMAT {table.format}".encode()
    # What a client says of its table becomes part of a statement, and may be no more than that.
    creating, filling = read_statement(create), insert_with_data(fill + b"\n", complete=True)
    if isinstance(creating, str) or filling is None or filling.data_starts != len(fill) + 1:
        return Failure(
            _BAD_ARGUMENTS, f"Code: 36. DB::Exception: External table {name} is not described. (BAD_ARGUMENTS)"
        )
    failed = _refusal(creating) or _failure(run(connection, create, "Null"))
    return failed or _failure(run(connection, _from_file(filling, table.file), "Null"))


def _failure(answered: Answer | Failure) -> Failure | None:
    return answered if isinstance(answered, Failure) else None


def _run(connection: Any, ask: QueryRequest) -> Answer | Failure:
    if isinstance(ask.statement, Insert):
        return _insert(connection, ask, ask.statement)
    answered = run(connection, ask.statement.body, ask.format, ask.parameters)
    if isinstance(answered, Failure) or answered.body or ask.format != "Native" or not ask.statement.is_answered:
        return answered
    header = _empty_native(connection, ask, ask.statement)
    return header if isinstance(header, Failure) else replace(answered, body=header)


def _insert(connection: Any, ask: QueryRequest, insert: Insert) -> Answer | Failure:
    assert ask.data is not None, "data that follows has been kept"
    return run(connection, _from_file(insert, ask.data), "Null", ask.parameters)


def _from_file(insert: Insert, file: Path) -> bytes:
    """The INSERT, with its data in a file: the engine's own way to take data from Python loses the errors in it."""
    return b"%b FROM INFILE %b COMPRESSION 'none' %b FORMAT %b" % (
        insert.into.rstrip(),
        quoted(str(file)).encode(),
        insert.settings,
        insert.format.encode(),
    )


def _empty_native(connection: Any, ask: QueryRequest, statement: Statement) -> bytes | Failure:
    """The header of an answer without rows, which ClickHouse sends in Native and chDB does not."""
    body = statement.body
    if statement.is_selection:
        body = b"SELECT * FROM (" + body + b"\n) LIMIT 0"
    described = run(connection, body, "RowBinaryWithNamesAndTypes", ask.parameters)
    if isinstance(described, Failure) and body != statement.body:
        described = run(connection, statement.body, "RowBinaryWithNamesAndTypes", ask.parameters)
    return described if isinstance(described, Failure) else native_header(described.body)


def native_header(described: bytes) -> bytes:
    """An empty Native block, of the header of RowBinaryWithNamesAndTypes: columns, their names, their types."""
    if not described:
        return b""
    columns, at = _read_number(described, 0)
    texts = []
    for _ in range(2 * columns):
        length, start = _read_number(described, at)
        texts.append(described[at : start + length])
        at = start + length
    pairs = zip(texts[:columns], texts[columns:], strict=True)
    return described[: _read_number(described, 0)[1]] + b"\0" + b"".join(name + kind for name, kind in pairs)


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at

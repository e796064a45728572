"""Runs requests on connections to the engine. All of it blocks, and is called in threads."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from deploy.local.clickhouse.engine import (
    Answer,
    Engine,
    apply_settings,
    identifier,
    quoted,
    restored,
    run,
    stream,
    use_database,
)
from deploy.local.clickhouse.errors import ErrorCode, Failure
from deploy.local.clickhouse.request import ExternalTable, QueryRequest
from deploy.local.clickhouse.sessions import DEFAULT_TIMEOUT_SECONDS, Sessions
from deploy.local.clickhouse.sql_policy import reaches_outside, setting_reaches_outside
from deploy.local.clickhouse.statement import Insert, Statement, insert_with_data, read_statement, tokens_of

#: Formats whose blocks, concatenated, are one valid answer. In all others only the whole answer is valid.
STREAMABLE: Final = frozenset(
    {"Native", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "RowBinary", "JSONEachRow"}
)


class Execution:
    """Runs requests on an engine, each on a connection of its own, or on that of its session."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions = Sessions()

    def answer(self, query: QueryRequest) -> Answer | Failure:
        refusal = _refusal(query.statement, query.settings, query.parameters.values())
        if refusal is not None:
            return refusal
        name = query.options.get("session_id")
        session = self._sessions.find(name) if name else None
        if session is not None:
            if not session.in_use.acquire(blocking=False):
                return Failure.of(ErrorCode.SESSION_IS_LOCKED, f"Session {name} is locked by a concurrent client")
            try:
                return _run_in_session(session.connection, query)
            finally:
                session.in_use.release()
        stateful = isinstance(query.statement, Statement) and query.statement.is_stateful
        connection = self._engine.connect()
        if not (name and stateful):
            try:
                return _prepare(connection, query) or _run(connection, query)
            finally:
                connection.close()
        result = _run_in_session(connection, query)
        self._sessions.add(name, connection, float(query.options.get("session_timeout") or DEFAULT_TIMEOUT_SECONDS))
        return result

    def stream(self, query: QueryRequest) -> Generator[bytes | Failure]:
        """Run a statement that returns rows, and yield them block by block; a failure is the last item."""
        assert isinstance(query.statement, Statement), "an INSERT with data returns no rows"
        refusal = _refusal(query.statement, query.settings, query.parameters.values())
        if refusal is not None:
            yield refusal
            return
        connection = self._engine.connect()
        try:
            failure = _prepare(connection, query)
            if failure is not None:
                yield failure
                return
            is_empty = True
            for block in stream(connection, query.statement.body, query.format, query.parameters):
                is_empty = False
                yield block
            if is_empty and query.format == "Native":
                yield _empty_native(connection, query, query.statement)
        finally:
            connection.close()

    def may_stream(self, query: QueryRequest) -> bool:
        """Whether the answer can be sent block by block. A client that waits for the end of the query wants a summary instead."""
        return (
            isinstance(query.statement, Statement)
            and query.statement.is_selection
            and query.format in STREAMABLE
            and query.options.get("wait_end_of_query", "0") == "0"
            and self._sessions.find(query.options.get("session_id", "")) is None
        )

    def close(self) -> None:
        self._sessions.close()


def _refusal(
    statement: Insert | Statement, settings: Iterable[str] = (), parameters: Iterable[str] = ()
) -> Failure | None:
    """The failure of a statement that reaches outside the data directory."""
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
    advice = "The embedded ClickHouse keeps to its own tables. Use a ClickHouse server for that (FIRSTCALL_CLICKHOUSE)"
    return Failure.of(ErrorCode.ACCESS_DENIED, f"{reason}. {advice}")


def _run_in_session(connection: Any, query: QueryRequest) -> Answer | Failure:
    """Run on a session's connection. What the request itself sets does not outlast it; what SET and USE change does."""
    changes_session = isinstance(query.statement, Statement) and query.statement.verb in {"SET", "USE"}
    if changes_session:
        return _run(connection, query)
    with ExitStack() as stack:
        stack.enter_context(restored(connection, tuple(query.settings)))
        for table in query.tables:
            drop = f"DROP TEMPORARY TABLE IF EXISTS {identifier(table.name)}".encode()
            stack.callback(run, connection, drop, "Null")
        return _prepare(connection, query) or _run(connection, query)


def _prepare(connection: Any, query: QueryRequest) -> Failure | None:
    """Apply the settings of a request, and create its external tables."""
    database = query.options.get("database")
    failure = (use_database(connection, database) if database else None) or apply_settings(connection, query.settings)
    for table in query.tables:
        failure = failure or _create_external_table(connection, table)
    if failure is None and query.read_only:
        failure = apply_settings(connection, {"readonly": "2"})
    return failure


def _create_external_table(connection: Any, table: ExternalTable) -> Failure | None:
    name = identifier(table.name)
    create = f"CREATE TEMPORARY TABLE {name} ({table.structure})".encode()
    insert = f"INSERT INTO {name} FORMAT {table.format}".encode()
    # The client's structure and format become part of statements: they must not add clauses to them.
    creation, insertion = read_statement(create), insert_with_data(insert + b"\n", complete=True)
    if isinstance(creation, str) or insertion is None or insertion.data_starts != len(insert) + 1:
        return Failure.of(ErrorCode.BAD_ARGUMENTS, f"External table {name} is not described")
    refusal = _refusal(creation)
    if refusal is not None:
        return refusal
    for statement in (create, _from_file(insertion, table.file)):
        result = run(connection, statement, "Null")
        if isinstance(result, Failure):
            return result
    return None


def _run(connection: Any, query: QueryRequest) -> Answer | Failure:
    if isinstance(query.statement, Insert):
        assert query.data is not None, "the data of an INSERT is in a file"
        return run(connection, _from_file(query.statement, query.data), "Null", query.parameters)
    result = run(connection, query.statement.body, query.format, query.parameters)
    if isinstance(result, Failure) or result.body or query.format != "Native" or not query.statement.is_answered:
        return result
    header = _empty_native(connection, query, query.statement)
    return header if isinstance(header, Failure) else replace(result, body=header)


def _from_file(insert: Insert, file: Path) -> bytes:
    """The INSERT with its data in a file. chDB's own way to pass data from Python loses errors in the data."""
    return b"%b FROM INFILE %b COMPRESSION 'none' %b FORMAT %b" % (
        insert.into.rstrip(),
        quoted(str(file)).encode(),
        insert.settings,
        insert.format.encode(),
    )


def _empty_native(connection: Any, query: QueryRequest, statement: Statement) -> bytes | Failure:
    """The header of an answer without rows, which ClickHouse sends in Native and chDB does not."""
    body = statement.body
    if statement.is_selection:
        body = b"SELECT * FROM (" + body + b"\n) LIMIT 0"
    described = run(connection, body, "RowBinaryWithNamesAndTypes", query.parameters)
    if isinstance(described, Failure) and body != statement.body:
        described = run(connection, statement.body, "RowBinaryWithNamesAndTypes", query.parameters)
    return described if isinstance(described, Failure) else native_header(described.body)


def native_header(described: bytes) -> bytes:
    """An empty Native block, made from the header of RowBinaryWithNamesAndTypes: column count, names, types."""
    if not described:
        return b""
    columns, at = _read_varint(described, 0)
    texts = []
    for _ in range(2 * columns):
        length, start = _read_varint(described, at)
        texts.append(described[at : start + length])
        at = start + length
    pairs = zip(texts[:columns], texts[columns:], strict=True)
    return described[: _read_varint(described, 0)[1]] + b"\0" + b"".join(name + kind for name, kind in pairs)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A LEB128 number, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at

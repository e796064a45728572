"""Reads a request of ClickHouse's HTTP interface: what to run, with which data, parameters and settings.

Data of an INSERT goes to a file as it comes in, so that a request takes little memory, however much it brings.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from aiohttp import BodyPartReader, web

from deploy.local.clickhouse import compression
from deploy.local.clickhouse.engine import Failure
from deploy.local.clickhouse.statement import Insert, Statement, insert_with_data, is_insert, read_statement

#: How much of a body is read before the statement in it is looked at.
HEAD_BYTES: Final = 64 * 1024
LONGEST_STATEMENT_BYTES: Final = 16 * 1024 * 1024

#: Parameters of HTTP itself. All others are settings of the engine, but those that start with `param_`.
_TRANSPORT: Final = frozenset(
    {
        *("query", "database", "default_format", "session_id", "session_timeout", "session_check", "close_session"),
        *("query_id", "quota_key", "user", "password", "role", "compress", "decompress", "client_protocol_version"),
        *("wait_end_of_query", "buffer_size", "http_response_buffer_size", "stacktrace", "framing"),
        *("enable_http_compression", "http_zlib_compression_level", "send_progress_in_http_headers"),
        *("http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close"),
    }
)
_SYNTAX_ERROR: Final = 62
_DATA_TOO_LARGE: Final = 307
_CANNOT_DECODE: Final = 354
_NOT_IMPLEMENTED: Final = 48


@dataclass(frozen=True)
class ExternalTable:
    """A table that comes with a query and is there for it only."""

    name: str
    structure: str
    format: str
    file: Path


@dataclass
class QueryRequest:
    """What a request asks for. `files` are removed once it is answered."""

    statement: Insert | Statement
    data: Path | None
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    options: Mapping[str, str]
    read_only: bool
    tables: list[ExternalTable] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    @property
    def format(self) -> str:
        """The format of the answer."""
        named = self.statement.format if isinstance(self.statement, Statement) else None
        return named or self.options.get("default_format") or "TabSeparated"


class UnreadableError(Exception):
    """A request that cannot be understood; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


async def read_query_request(request: web.Request, incoming: Path, largest_body_bytes: int) -> QueryRequest:
    """Read a request, its data into files in the folder `incoming`. Raises UnreadableError, and leaves no file then."""
    files: list[Path] = []
    try:
        return await _read(request, incoming, largest_body_bytes, files)
    except BaseException:
        remove(files)
        raise


def remove(files: list[Path]) -> None:
    """Remove files; repeating it changes nothing."""
    for file in files:
        file.unlink(missing_ok=True)


async def _read(request: web.Request, incoming: Path, largest: int, files: list[Path]) -> QueryRequest:
    options = dict(request.query)
    for header, option in (("X-ClickHouse-Database", "database"), ("X-ClickHouse-Format", "default_format")):
        if header in request.headers:
            options.setdefault(option, request.headers[header])
    if options.get("decompress", "0") != "0" or options.get("compress", "0") != "0":
        raise _unreadable(
            _NOT_IMPLEMENTED, "compress and decompress are not supported, use Content-Encoding", "NOT_IMPLEMENTED"
        )
    body = _Body(request, largest)
    tables: list[ExternalTable] = []
    if request.content_type.startswith("multipart/"):
        tables = await _read_form(request, options, incoming, files, body)
        pieces = _nothing()
    else:
        pieces = body.pieces()
    begun = options.get("query", "").encode("utf-8", "surrogateescape")
    statement, data = await _read_statement(begun, pieces, incoming, files)
    return QueryRequest(
        statement=statement,
        data=data,
        parameters={name[6:]: value for name, value in options.items() if name.startswith("param_")},
        settings={
            name: value
            for name, value in options.items()
            if name not in _TRANSPORT and not name.startswith("param_") and not _describes(name, tables)
        },
        options=options,
        # GET is for reading, as with ClickHouse: what a link or an image can trigger must not change anything.
        read_only=request.method in {"GET", "HEAD"},
        tables=tables,
        files=files,
    )


async def _read_statement(
    begun: bytes, pieces: AsyncIterator[bytes], incoming: Path, files: list[Path]
) -> tuple[Insert | Statement, Path | None]:
    text = bytearray(begun)
    if text:
        text += b"\n"
    complete = False
    enough = HEAD_BYTES
    while not complete:
        complete = await _fill(text, pieces, enough)
        if is_insert(bytes(text[:HEAD_BYTES])):
            insert = insert_with_data(bytes(text), complete=complete)
            if insert is not None:
                return insert, await _keep(text[insert.data_starts :], pieces, incoming, files)
        if len(text) > LONGEST_STATEMENT_BYTES:
            raise _unreadable(
                _SYNTAX_ERROR, f"the statement has more than {LONGEST_STATEMENT_BYTES} bytes", "SYNTAX_ERROR"
            )
        enough *= 8
    statement = read_statement(bytes(text))
    if isinstance(statement, str):
        raise _unreadable(_SYNTAX_ERROR, statement, "SYNTAX_ERROR")
    if not statement.tokens:
        raise _unreadable(_SYNTAX_ERROR, "Empty query", "SYNTAX_ERROR")
    return statement, None


async def _fill(text: bytearray, pieces: AsyncIterator[bytes], enough: int) -> bool:
    """Have that many bytes; whether the body has ended."""
    while len(text) < enough:
        try:
            text += await anext(pieces)
        except StopAsyncIteration:
            return True
    return False


async def _keep(begun: bytes | bytearray, pieces: AsyncIterator[bytes], incoming: Path, files: list[Path]) -> Path:
    """Write data to a file of its own."""
    path = incoming / uuid.uuid4().hex
    files.append(path)
    with path.open("wb") as file:
        file.write(begun)
        async for piece in pieces:
            file.write(piece)
    return path


async def _nothing() -> AsyncIterator[bytes]:
    no_pieces: tuple[bytes, ...] = ()
    for piece in no_pieces:
        yield piece


class _Body:
    """The body of a request, decoded, up to the largest size allowed."""

    def __init__(self, request: web.Request, largest: int) -> None:
        self._request = request
        self._largest = largest
        self._bytes = 0
        self._encoding = request.headers.get("Content-Encoding", "identity").strip().lower() or "identity"

    async def pieces(self) -> AsyncIterator[bytes]:
        """What the sender encoded. Raises UnreadableError."""
        encoding = self._encoding
        if encoding == "identity":
            async for piece in self._request.content.iter_any():
                yield self.counted(piece)
            return
        if not compression.knows(encoding):
            raise _unreadable(_NOT_IMPLEMENTED, f"Unknown compression method: {encoding}", "NOT_IMPLEMENTED")
        decompression = compression.Decompression(encoding)
        try:
            async for piece in self._request.content.iter_any():
                yield self.counted(decompression.feed(piece))
        except compression.BROKEN as error:
            raise _unreadable(
                _CANNOT_DECODE, f"{encoding} body cannot be decoded: {error}", "CANNOT_DECOMPRESS"
            ) from None
        if not decompression.is_complete:
            raise _unreadable(_CANNOT_DECODE, f"{encoding} body ends too early", "CANNOT_DECOMPRESS")

    def counted(self, piece: bytes) -> bytes:
        """A piece, unless it is too much."""
        self._bytes += len(piece)
        if self._bytes > self._largest:
            raise _unreadable(
                _DATA_TOO_LARGE,
                f"the request has more than {self._largest} bytes; send it in several",
                "TOO_MANY_BYTES",
            )
        return piece


async def _read_form(
    request: web.Request, options: dict[str, str], incoming: Path, files: list[Path], body: _Body
) -> list[ExternalTable]:
    """Read a form: fields are options like those of the URL, files are external tables."""
    tables = []
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        path = incoming / uuid.uuid4().hex
        files.append(path)
        with path.open("w+b") as file:
            await _copy(part, file, body)
            if part.filename is None:
                file.seek(0)
                options[part.name] = file.read().decode("utf-8", "surrogateescape")
                continue
        structure = options.get(f"{part.name}_structure")
        if structure is None:
            types = [kind for kind in options.get(f"{part.name}_types", "").split(",") if kind]
            structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types, start=1))
        tables.append(ExternalTable(part.name, structure, options.get(f"{part.name}_format", "TabSeparated"), path))
    return tables


async def _copy(part: BodyPartReader, file: BinaryIO, body: _Body) -> None:
    while piece := await part.read_chunk(256 * 1024):
        file.write(body.counted(piece))


def _describes(option: str, tables: list[ExternalTable]) -> bool:
    return any(option in {f"{table.name}_{what}" for what in ("structure", "types", "format")} for table in tables)


def _unreadable(code: int, reason: str, name: str) -> UnreadableError:
    return UnreadableError(Failure(code, f"Code: {code}. DB::Exception: {reason}. ({name})"))

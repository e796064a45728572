"""Parses a request of ClickHouse's HTTP interface: the statement, its data, parameters and settings.

The data of an INSERT is streamed to a file, so that memory does not grow with the body.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import BodyPartReader, web

from deploy.local.clickhouse import compression
from deploy.local.clickhouse.errors import ErrorCode, Failure
from deploy.local.clickhouse.statement import Insert, Statement, insert_with_data, is_insert, read_statement

#: How much of a body is read before the statement in it is parsed.
HEAD_BYTES: Final = 64 * 1024
LONGEST_STATEMENT_BYTES: Final = 16 * 1024 * 1024

#: Parameters of the HTTP interface. Those that start with `param_` belong to the statement; all others are settings.
_INTERFACE: Final = frozenset(
    {
        *("query", "database", "default_format", "session_id", "session_timeout", "session_check", "close_session"),
        *("query_id", "quota_key", "user", "password", "role", "compress", "decompress", "client_protocol_version"),
        *("wait_end_of_query", "buffer_size", "http_response_buffer_size", "stacktrace", "framing"),
        *("enable_http_compression", "http_zlib_compression_level", "send_progress_in_http_headers"),
        *("http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close"),
    }
)


@dataclass(frozen=True)
class ExternalTable:
    """A table that a request brings; it exists for this statement only."""

    name: str
    structure: str
    format: str
    file: Path


@dataclass
class QueryRequest:
    """A parsed request. `files` are removed after the answer."""

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
        in_statement = self.statement.format if isinstance(self.statement, Statement) else None
        return in_statement or self.options.get("default_format") or "TabSeparated"


class BadRequestError(Exception):
    """A request that cannot be parsed; `failure` is its answer."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.failure = Failure.of(code, reason)


async def read_query_request(request: web.Request, incoming: Path, largest_body_bytes: int) -> QueryRequest:
    """Parse a request, its data into files in the folder `incoming`. Raises BadRequestError, and leaves no file then."""
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
        raise BadRequestError(
            ErrorCode.NOT_IMPLEMENTED, "compress and decompress are not supported, use Content-Encoding"
        )
    body = _Body(request, largest)
    tables: list[ExternalTable] = []
    if request.content_type.startswith("multipart/"):
        tables = await _read_form(request, options, incoming, files, body)
        chunks = _no_chunks()
    else:
        chunks = body.chunks()
    text = options.get("query", "").encode("utf-8", "surrogateescape")
    statement, data = await _read_statement(text, chunks, incoming, files)
    of_tables = {f"{table.name}_{what}" for table in tables for what in ("structure", "types", "format")}
    return QueryRequest(
        statement=statement,
        data=data,
        parameters={name[6:]: value for name, value in options.items() if name.startswith("param_")},
        settings={
            name: value
            for name, value in options.items()
            if name not in _INTERFACE and not name.startswith("param_") and name not in of_tables
        },
        options=options,
        # As in ClickHouse: a link or an image on a page triggers a GET, which must not change anything.
        read_only=request.method in {"GET", "HEAD"},
        tables=tables,
        files=files,
    )


async def _read_statement(
    in_url: bytes, chunks: AsyncIterator[bytes], incoming: Path, files: list[Path]
) -> tuple[Insert | Statement, Path | None]:
    """The statement, which may begin in the URL and go on in the body, and the file of the data behind it."""
    text = bytearray(in_url)
    if text:
        text += b"\n"
    complete = False
    enough = HEAD_BYTES
    while not complete:
        complete = await _fill(text, chunks, enough)
        if is_insert(bytes(text[:HEAD_BYTES])):
            insert = insert_with_data(bytes(text), complete=complete)
            if insert is not None:
                return insert, await _store(text[insert.data_starts :], chunks, incoming, files)
        if len(text) > LONGEST_STATEMENT_BYTES:
            raise BadRequestError(
                ErrorCode.SYNTAX_ERROR, f"the statement has more than {LONGEST_STATEMENT_BYTES} bytes"
            )
        enough *= 8
    statement = read_statement(bytes(text))
    if isinstance(statement, str):
        raise BadRequestError(ErrorCode.SYNTAX_ERROR, statement)
    if not statement.tokens:
        raise BadRequestError(ErrorCode.SYNTAX_ERROR, "Empty query")
    return statement, None


async def _fill(text: bytearray, chunks: AsyncIterator[bytes], enough: int) -> bool:
    """Read until the text has that many bytes. Return whether the body has ended."""
    while len(text) < enough:
        try:
            text += await anext(chunks)
        except StopAsyncIteration:
            return True
    return False


async def _store(head: bytes | bytearray, chunks: AsyncIterator[bytes], incoming: Path, files: list[Path]) -> Path:
    path = incoming / uuid.uuid4().hex
    files.append(path)
    with path.open("wb") as file:
        file.write(head)
        async for chunk in chunks:
            file.write(chunk)
    return path


async def _no_chunks() -> AsyncIterator[bytes]:
    no_chunks: tuple[bytes, ...] = ()
    for chunk in no_chunks:
        yield chunk


class _Body:
    """The body of a request, decoded, up to the largest size allowed."""

    def __init__(self, request: web.Request, largest: int) -> None:
        self._request = request
        self._largest = largest
        self._bytes = 0
        self._encoding = request.headers.get("Content-Encoding", "identity").strip().lower() or "identity"

    async def chunks(self) -> AsyncIterator[bytes]:
        """The decoded bytes. Raises BadRequestError."""
        encoding = self._encoding
        if encoding == "identity":
            async for chunk in self._request.content.iter_any():
                yield self.counted(chunk)
            return
        if not compression.is_supported(encoding):
            raise BadRequestError(ErrorCode.NOT_IMPLEMENTED, f"Unknown compression method: {encoding}")
        decompression = compression.Decompression(encoding)
        try:
            async for chunk in self._request.content.iter_any():
                yield self.counted(decompression.feed(chunk))
        except compression.BROKEN as error:
            raise BadRequestError(ErrorCode.CANNOT_DECOMPRESS, f"{encoding} body cannot be decoded: {error}") from None
        if not decompression.is_complete:
            raise BadRequestError(ErrorCode.CANNOT_DECOMPRESS, f"{encoding} body ends too early")

    def counted(self, chunk: bytes) -> bytes:
        """Count a chunk and return it. Raises BadRequestError when the body is too large."""
        self._bytes += len(chunk)
        if self._bytes > self._largest:
            raise BadRequestError(
                ErrorCode.TOO_MANY_BYTES, f"the request has more than {self._largest} bytes; send it in several"
            )
        return chunk


async def _read_form(
    request: web.Request, options: dict[str, str], incoming: Path, files: list[Path], body: _Body
) -> list[ExternalTable]:
    """Read a form: fields are options like those of the URL, files are external tables."""
    tables = []
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        path = await _store(b"", _part_chunks(part, body), incoming, files)
        if part.filename is None:
            options[part.name] = path.read_bytes().decode("utf-8", "surrogateescape")
            continue
        structure = options.get(f"{part.name}_structure")
        if structure is None:
            types = [kind for kind in options.get(f"{part.name}_types", "").split(",") if kind]
            structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types, start=1))
        tables.append(ExternalTable(part.name, structure, options.get(f"{part.name}_format", "TabSeparated"), path))
    return tables


async def _part_chunks(part: BodyPartReader, body: _Body) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(256 * 1024):
        yield body.counted(chunk)

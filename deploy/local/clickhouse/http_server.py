"""ClickHouse's HTTP interface to the embedded engine, on loopback."""

from __future__ import annotations

import asyncio
import errno
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from deploy.local.clickhouse.compression import Compression, accepted
from deploy.local.clickhouse.disk_guard import DiskGuard
from deploy.local.clickhouse.engine import Answer, Engine
from deploy.local.clickhouse.errors import Failure
from deploy.local.clickhouse.execution import Execution
from deploy.local.clickhouse.request import BadRequestError, QueryRequest, read_query_request, remove
from deploy.local.clickhouse.statement import Statement

#: Statements that run at the same time; more wait.
CONCURRENT_STATEMENTS: Final = 8
LARGEST_BODY_BYTES: Final = 2 * 1024**3
#: Smaller answers are not encoded.
SMALLEST_ENCODED_BYTES: Final = 1024
#: Blocks of a streamed answer are joined up to about this size.
STREAMED_BYTES: Final = 256 * 1024

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_CONTENT_TYPES: Final = {
    **dict.fromkeys(("TabSeparated", "TSV"), "text/tab-separated-values; charset=UTF-8"),
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    **dict.fromkeys(("Native", "RowBinary", "Arrow", "ArrowStream", "Parquet"), "application/octet-stream"),
}
#: ClickHouse's own HTTP statuses by error code; 500 for all others.
_STATUSES: Final = {
    **dict.fromkeys(
        (6, 16, 26, 27, 32, 33, 36, 38, 41, 42, 43, 47, 53, 62, 69, 70, 72, 115, 117, 130, 131, 271, 354, 456, 457), 400
    ),
    **dict.fromkeys((46, 56, 60, 61, 81), 404),
    **dict.fromkeys((164, 497), 403),
    307: 413,
    48: 501,
    373: 409,
}

T = TypeVar("T")


class HttpServer:
    """Serves an engine over HTTP. Statements run in a thread pool; the event loop only moves bytes."""

    def __init__(self, engine: Engine, *, largest_body_bytes: int = LARGEST_BODY_BYTES) -> None:
        self._engine = engine
        self._execution = Execution(engine)
        self._disk_guard = DiskGuard(engine)
        self._pool = ThreadPoolExecutor(CONCURRENT_STATEMENTS, thread_name_prefix="statement")
        self._largest_body_bytes = largest_body_bytes

    def application(self) -> web.Application:
        """The routes: `/` runs statements, `/ping` answers that the server runs."""
        application = web.Application(middlewares=[_only_local], client_max_size=self._largest_body_bytes)
        application.router.add_get("/ping", _ping)
        application.router.add_route("*", "/", self._serve)
        application.cleanup_ctx.append(self._watch_disk)
        application.on_cleanup.append(self._close)
        return application

    async def _watch_disk(self, _: web.Application) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._disk_guard.watch())
        yield
        watching.cancel()

    async def _close(self, _: web.Application) -> None:
        self._engine.cancel_statements()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._execution.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.method in {"GET", "HEAD"} and "query" not in request.query and not request.can_read_body:
            return await _ping(request)
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        try:
            query = await read_query_request(request, self._engine.incoming, self._largest_body_bytes)
        except BadRequestError as error:
            return self._unread(error.failure, query_id)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return self._unread(self._disk_guard.not_enough_space(), query_id)
        try:
            refusal = self._disk_guard.refusal(query)
            if refusal is not None:
                return _failed(refusal, self._engine.version, query_id)
            if self._execution.may_stream(query):
                return await self._stream(request, query, query_id)
            return await self._answer(request, query, query_id)
        finally:
            remove(query.files)

    def _unread(self, failure: Failure, query_id: str) -> web.Response:
        response = _failed(failure, self._engine.version, query_id)
        response.force_close()  # the rest of the body is not read
        return response

    async def _answer(self, request: web.Request, query: QueryRequest, query_id: str) -> web.Response:
        answer = await self._in_thread(lambda: self._execution.answer(query))
        if isinstance(answer, Failure):
            return _failed(answer, self._engine.version, query_id)
        encoding = _encoding(request, query) if len(answer.body) >= SMALLEST_ENCODED_BYTES else None
        body = answer.body
        if encoding is not None:
            compression = Compression(encoding)
            body = await self._in_thread(lambda: compression.feed(answer.body) + compression.finish())
        headers = _headers(query, query_id, encoding) | {"X-ClickHouse-Summary": _summary(answer)}
        return web.Response(body=body, headers=headers)

    async def _stream(self, request: web.Request, query: QueryRequest, query_id: str) -> web.StreamResponse:
        blocks = self._execution.stream(query)
        try:
            chunk = await self._in_thread(lambda: next(blocks, None))
            if isinstance(chunk, Failure):
                return _failed(chunk, self._engine.version, query_id)
            encoding = _encoding(request, query)
            tag = secrets.token_hex(8)
            headers = _headers(query, query_id, encoding) | {"X-ClickHouse-Exception-Tag": tag}
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            compression = Compression(encoding) if encoding else None
            while isinstance(chunk, bytes):
                await response.write(compression.feed(chunk) if compression else chunk)
                chunk = await self._in_thread(lambda: _next_chunk(blocks))
            end = b"" if chunk is None else _exception_in_body(chunk, self._engine.version, tag)
            if compression:
                end = compression.feed(end) + compression.finish()
            await response.write_eof(end)
            return response
        finally:
            await asyncio.shield(self._in_thread(blocks.close))

    def _in_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work)


@web.middleware
async def _only_local(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse requests that a page of another site sends through a browser on this machine."""
    host = urlsplit(f"//{request.host}").hostname
    origin = request.headers.get("Origin")
    if host not in _LOOPBACK or (origin is not None and urlsplit(origin).hostname not in _LOOPBACK):
        return web.Response(status=403, text="This ClickHouse serves clients on this machine only.\n")
    return await handler(request)


async def _ping(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


def _next_chunk(blocks: Iterator[bytes | Failure]) -> bytes | Failure | None:
    """The next blocks, joined to about STREAMED_BYTES; None at the end."""
    joined = bytearray()
    for block in blocks:
        if isinstance(block, Failure):
            return block
        joined += block
        if len(joined) >= STREAMED_BYTES:
            break
    return bytes(joined) or None


def _encoding(request: web.Request, query: QueryRequest) -> str | None:
    """The encoding of the answer, if the client requests one."""
    if query.options.get("enable_http_compression", "0") == "0":
        return None
    return accepted(request.headers.get("Accept-Encoding", ""))


def _headers(query: QueryRequest, query_id: str, encoding: str | None) -> dict[str, str]:
    headers = {"X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Timezone": "UTC"}
    headers["Content-Type"] = "text/plain; charset=UTF-8"
    if isinstance(query.statement, Statement) and query.statement.is_answered:
        headers["X-ClickHouse-Format"] = query.format
        headers["Content-Type"] = _CONTENT_TYPES.get(query.format, "text/plain; charset=UTF-8")
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    return headers


def _summary(answer: Answer) -> str:
    return json.dumps(
        {
            "read_rows": str(answer.read_rows),
            "read_bytes": str(answer.read_bytes),
            "written_rows": str(answer.written_rows),
            "written_bytes": str(answer.written_bytes),
            "result_rows": str(answer.result_rows),
            "result_bytes": str(len(answer.body)),
            "elapsed_ns": str(int(answer.seconds * 1e9)),
        }
    )


def _failed(failure: Failure, version: str, query_id: str) -> web.Response:
    return web.Response(
        status=_STATUSES.get(failure.code, 500),
        text=f"{failure.text} (version {version})\n",
        headers={
            "X-ClickHouse-Exception-Code": str(failure.code),
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": "UTC",
        },
    )


def _exception_in_body(failure: Failure, version: str, tag: str) -> bytes:
    """ClickHouse's form of an error behind rows that were already sent."""
    message = f"{failure.text} (version {version})\n".encode()
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )

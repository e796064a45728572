"""ClickHouse's HTTP interface on loopback, in front of the embedded engine."""

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
from deploy.local.clickhouse.engine import Answer, Engine, Failure
from deploy.local.clickhouse.execution import Execution
from deploy.local.clickhouse.request import QueryRequest, UnreadableError, read_query_request, remove
from deploy.local.clickhouse.statement import Statement

#: Statements that run at the same time; more wait.
CONCURRENT_STATEMENTS: Final = 8
LARGEST_BODY_BYTES: Final = 2 * 1024**3
#: Smaller answers are not worth an encoding.
SMALLEST_ENCODED_BYTES: Final = 1024
#: About so much of a long answer is sent at once.
STREAMED_BYTES: Final = 256 * 1024

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_CONTENT_TYPES: Final = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
    "Parquet": "application/octet-stream",
}
#: HTTP's status by ClickHouse's code, as ClickHouse has it; 500 for all others.
_STATUSES: Final = {
    **dict.fromkeys(
        (6, 16, 26, 27, 32, 33, 36, 38, 41, 42, 43, 47, 53, 62, 69, 70, 72, 115, 117, 130, 131, 354, 456, 457), 400
    ),
    **dict.fromkeys((46, 56, 60, 61, 81), 404),
    **dict.fromkeys((164, 497), 403),
    307: 413,
    48: 501,
    373: 409,
}

T = TypeVar("T")


class HttpServer:
    """Serves an engine over HTTP. Statements run in threads of a pool, the loop only moves bytes."""

    def __init__(self, engine: Engine, *, largest_body_bytes: int = LARGEST_BODY_BYTES) -> None:
        self._engine = engine
        self._execution = Execution(engine)
        self._room = DiskGuard(engine)
        self._pool = ThreadPoolExecutor(CONCURRENT_STATEMENTS, thread_name_prefix="statement")
        self._largest_body_bytes = largest_body_bytes

    def application(self) -> web.Application:
        """The routes: `/` runs statements, `/ping` says that it is there."""
        application = web.Application(middlewares=[_only_from_here], client_max_size=self._largest_body_bytes)
        application.router.add_get("/ping", _say_ok)
        application.router.add_get("/replicas_status", _say_ok)
        application.router.add_route("*", "/", self._serve)
        application.cleanup_ctx.append(self._keep_room)
        application.on_cleanup.append(self._close)
        return application

    async def _keep_room(self, _: web.Application) -> AsyncIterator[None]:
        keeping = asyncio.create_task(self._room.keep())
        yield
        keeping.cancel()

    async def _close(self, _: web.Application) -> None:
        self._engine.cancel_statements()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._execution.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.method in {"GET", "HEAD"} and "query" not in request.query and not request.can_read_body:
            return await _say_ok(request)
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        try:
            ask = await read_query_request(request, self._engine.incoming, self._largest_body_bytes)
        except UnreadableError as unreadable:
            return self._unread(unreadable.failure, query_id)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return self._unread(self._room.too_little(), query_id)
        try:
            refused = self._room.refusal(ask)
            if refused is not None:
                return _failed(refused, self._engine.version, query_id)
            if self._execution.may_stream(ask):
                return await self._stream(request, ask, query_id)
            return await self._answer(request, ask, query_id)
        finally:
            remove(ask.files)

    def _unread(self, failure: Failure, query_id: str) -> web.Response:
        response = _failed(failure, self._engine.version, query_id)
        response.force_close()  # the rest of the body is not read
        return response

    async def _answer(self, request: web.Request, ask: QueryRequest, query_id: str) -> web.Response:
        encoding = _encoding(request, ask)

        def work() -> Answer | Failure | tuple[Answer, bytes]:
            answered = self._execution.answer(ask)
            if isinstance(answered, Failure) or encoding is None or len(answered.body) < SMALLEST_ENCODED_BYTES:
                return answered
            frame = Compression(encoding)
            return answered, frame.feed(answered.body) + frame.finish()

        match await self._in_thread(work):
            case Failure() as failure:
                return _failed(failure, self._engine.version, query_id)
            case (Answer() as answered, bytes() as encoded):
                headers = _headers(ask, query_id, encoding)
                return web.Response(body=encoded, headers={**headers, "X-ClickHouse-Summary": _summary(answered)})
            case answered:
                headers = _headers(ask, query_id, None)
                return web.Response(body=answered.body, headers={**headers, "X-ClickHouse-Summary": _summary(answered)})

    async def _stream(self, request: web.Request, ask: QueryRequest, query_id: str) -> web.StreamResponse:
        blocks = self._execution.stream(ask)
        try:
            first = await self._in_thread(lambda: next(blocks, None))
            if isinstance(first, Failure):
                return _failed(first, self._engine.version, query_id)
            encoding = _encoding(request, ask)
            tag = secrets.token_hex(8)
            headers = _headers(ask, query_id, encoding) | {"X-ClickHouse-Exception-Tag": tag}
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            frame = Compression(encoding) if encoding else None
            piece: bytes | Failure | None = first
            while piece is not None:
                if isinstance(piece, Failure):
                    ended = _exception_in_body(f"{piece.text} (version {self._engine.version})", tag)
                    await response.write(frame.feed(ended) if frame else ended)
                    break
                await response.write(frame.feed(piece) if frame else piece)
                piece = await self._in_thread(lambda: _next_pieces(blocks))
            if frame:
                await response.write(frame.finish())
            await response.write_eof()
            return response
        finally:
            await asyncio.shield(self._in_thread(blocks.close))

    def _in_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work)


@web.middleware
async def _only_from_here(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse what a web page of another site has a browser on this machine send: it could else run statements here."""
    host = urlsplit(f"//{request.host}").hostname
    origin = request.headers.get("Origin")
    if host not in _LOOPBACK or (origin is not None and urlsplit(origin).hostname not in _LOOPBACK):
        return web.Response(status=403, text="This ClickHouse serves clients on this machine only.\n")
    return await handler(request)


async def _say_ok(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


def _next_pieces(blocks: Iterator[bytes | Failure]) -> bytes | Failure | None:
    """The next blocks, joined to a size worth a turn of the loop; None at the end."""
    pieces: list[bytes] = []
    size = 0
    for block in blocks:
        if isinstance(block, Failure):
            return block
        pieces.append(block)
        size += len(block)
        if size >= STREAMED_BYTES:
            break
    return b"".join(pieces) if pieces else None


def _encoding(request: web.Request, ask: QueryRequest) -> str | None:
    """The encoding of the answer, where the client wants one at all."""
    if ask.options.get("enable_http_compression", "0") == "0":
        return None
    return accepted(request.headers.get("Accept-Encoding", ""))


def _headers(ask: QueryRequest, query_id: str, encoding: str | None) -> dict[str, str]:
    headers = {"X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Timezone": "UTC"}
    headers["Content-Type"] = "text/plain; charset=UTF-8"
    if isinstance(ask.statement, Statement) and ask.statement.is_answered:
        headers["X-ClickHouse-Format"] = ask.format
        headers["Content-Type"] = _CONTENT_TYPES.get(ask.format, "text/plain; charset=UTF-8")
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


def _exception_in_body(text: str, tag: str) -> bytes:
    """An error behind the rows that were sent before it, as ClickHouse marks it."""
    message = f"{text}\n".encode()
    return b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (
        tag.encode(),
        message,
        len(message),
        tag.encode(),
    )

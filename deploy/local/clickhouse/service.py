"""Runs the embedded ClickHouse: in this process until a signal arrives, or as a child process."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from deploy.local.clickhouse.sandbox import confine
from deploy.local.process.child_process import ChildProcess, python_module, with_code
from deploy.local.process.directory_lock import DirectoryLock, Holder, read_holder
from schemas.config.sources import PREFIX
from schemas.errors import DeploymentError

if TYPE_CHECKING:
    from deploy.local.clickhouse.http_server import HttpServer

DEFAULT_PORT: Final = 18123
LOOPBACK: Final = "127.0.0.1"
#: A directory with many tables takes long to open.
SERVES_WITHIN_SECONDS: Final = 120.0
#: How long a running statement may take to end after a signal, before it is cancelled.
FINISHES_WITHIN_SECONDS: Final = 5.0
#: The parameters of a query are in the URL; the limit is ClickHouse's own.
LONGEST_URL_BYTES: Final = 1024 * 1024

_NOT_CONFINED: Final = (
    "This system cannot confine ClickHouse to its directory (Linux 5.19 or newer with Landlock can): only the text of statements "
    "is checked. Give access only to people who may read your files"
)


def serve(
    data_dir: Path,
    port: int,
    *,
    for_pid: int | None = None,
    run: str = "",
    on_ready: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve `data_dir/clickhouse` on loopback until SIGTERM or SIGINT. Main thread only, once a process.

    Port 0 takes a free one; `on_ready` receives the URL. Raises DeploymentError. The lock of the directory records `for_pid`,
    the process that this one runs for, and `run`, its name for this run.
    """
    # The engine reads TZ while it is loaded.
    os.environ["TZ"] = "UTC"
    time.tzset()
    home = _home(data_dir)
    with DirectoryLock.acquire(home, "ClickHouse") as lock, closing(_listening_socket(port)) as listening:
        url = f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        os.environ["TMPDIR"] = str(_empty(home / "scratch"))
        # aiohttp reads files of the system, so it is loaded before the sandbox closes. The engine starts threads, so it is loaded
        # after it.
        import aiohttp.web  # noqa: F401

        if not confine(home):
            print(_NOT_CONFINED, file=sys.stderr, flush=True)  # noqa: T201 - before anything logs
        from deploy.local.clickhouse.engine import Engine
        from deploy.local.clickhouse.http_server import HttpServer

        server = HttpServer(engine := Engine(home))

        def ready() -> None:
            lock.write_holder(Holder(for_pid or os.getpid(), url, run))
            on_ready(url)

        asyncio.run(_serve_until_signal(server, engine.cancel_statements, listening, ready))
        engine.close()


class LocalClickHouse:
    """The embedded ClickHouse of a data directory as a child process; a context, or `start` and `stop`.

    Its data stays in `data_dir/clickhouse`. Without a port a free one is taken. Any ClickHouse client over HTTP can use it at
    `url`, as any user.
    """

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        self._data_dir = data_dir.absolute()
        self._port = port or 0
        self._process: ChildProcess | None = None
        self._run = ""
        self._url = ""

    @property
    def url(self) -> str:
        assert self._url, "it is started"
        return self._url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def process(self) -> ChildProcess:
        assert self._process is not None, "it is started"
        return self._process

    def start(self) -> None:
        """Start it and return when it serves. Raises DeploymentError."""
        home = _home(self._data_dir)
        home.mkdir(parents=True, exist_ok=True)
        self._run = secrets.token_hex(8)
        options = ("--data", str(self._data_dir), "--port", str(self._port), "--for-pid", str(os.getpid()))
        command = python_module("deploy.local.clickhouse", *options, "--run", self._run)
        # All settings are arguments: its environment holds no secret of Firstcall that a statement could read.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._process = ChildProcess(command, home / "clickhouse.log", with_code(environment))
        try:
            self._await_service()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it. Repeating it changes nothing."""
        process, self._process, self._url = self._process, None, ""
        if process is not None:
            process.end()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _await_service(self) -> None:
        process = self.process
        gives_up_at = time.monotonic() + SERVES_WITHIN_SECONDS
        while True:
            if process.exit_code is not None:
                raise DeploymentError(
                    process.last_log_lines() or f"ClickHouse ended while it started; see {process.log}"
                )
            holder = read_holder(_home(self._data_dir))
            if holder is not None and holder.run == self._run and answers(holder.address):
                self._url = holder.address
                return
            if time.monotonic() > gives_up_at:
                raise DeploymentError(
                    f"ClickHouse does not answer after {SERVES_WITHIN_SECONDS:.0f} s; see {process.log}"
                )
            time.sleep(0.05)


def answers(url: str) -> bool:
    # A proxy of the environment cannot reach loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/ping", timeout=5) as response:
            return bool(response.read() == b"Ok.\n")
    except (urllib.error.URLError, OSError):
        return False


async def _serve_until_signal(
    server: HttpServer, cancel: Callable[[], None], listening: socket.socket, ready: Callable[[], object]
) -> None:
    from aiohttp import web

    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ending.set)
    # The server decodes bodies itself: it supports more encodings.
    runner = web.AppRunner(
        server.application(),
        access_log=None,
        auto_decompress=False,
        shutdown_timeout=2 * FINISHES_WITHIN_SECONDS,
        keepalive_timeout=600,
        max_line_size=LONGEST_URL_BYTES,
        max_field_size=LONGEST_URL_BYTES,
    )
    await runner.setup()
    await web.SockSite(runner, listening).start()
    ready()
    try:
        await ending.wait()
    finally:
        cancelling = loop.call_later(FINISHES_WITHIN_SECONDS, cancel)
        await runner.cleanup()
        cancelling.cancel()


def _home(data_dir: Path) -> Path:
    return data_dir.absolute() / "clickhouse"


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _listening_socket(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with suppress(OSError):
        listening.bind((LOOPBACK, port))
        return listening
    listening.close()
    raise DeploymentError(
        f"port {port} on loopback is taken by something else; set FIRSTCALL_CLICKHOUSE_PORT to another one"
    )

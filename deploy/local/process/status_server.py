"""Serves the status of a process over HTTP: `/metrics` for Prometheus, `/healthz` and `/readyz` for its supervisor.

`/healthz` fails when the process should be restarted, `/readyz` when it does no work for any reason. Both answer with JSON
that contains the reasons. The server has its own threads, so it answers while all others hang.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from schemas import metrics
from schemas.config.settings import Settings
from schemas.errors import DeploymentError

#: The timeout of a connection: a client that sends nothing must not hold a thread for ever.
REQUEST_SECONDS: Final = 10.0
#: At the same time; each takes a thread. More are closed at once.
MOST_CONNECTIONS: Final = 32


class HealthSource(Protocol):
    """The health of a process. Reasons are texts for the operator; without one all is well."""

    def unhealthy(self) -> list[str]:
        """Why the process should be restarted."""

    def unready(self) -> list[str]:
        """Why the process does no work."""

    def facts(self) -> dict[str, Any]:
        """More fields for the answer of `/readyz`."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    health: HealthSource

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self._free = threading.Semaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_SECONDS
    server_version = "firstcall"
    sys_version = ""

    def do_GET(self) -> None:
        health = self.server.health
        match urlsplit(self.path).path:
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, content_type, encode(REGISTRY))
            case "/healthz":
                self._answer_health("healthy", health.unhealthy(), {})
            case "/readyz":
                self._answer_health("ready", health.unready(), health.facts())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics, /healthz, /readyz\n")

    def _answer_health(self, field: str, reasons: list[str], facts: dict[str, Any]) -> None:
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        body = json.dumps({field: not reasons, "reasons": reasons, **facts}, ensure_ascii=False) + "\n"
        self._answer(status, "application/json", body.encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the library
        """Log nothing: one line a scrape would hide all others."""


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reached_at(host: str) -> str:
    """The address on this machine of a process that listens on `host`, which may mean all addresses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - of a setting, to be replaced


def show(settings: Settings, role: str, health: HealthSource) -> None:
    """Start the server, if a port is set. Raises DeploymentError when it is taken."""
    if not settings.metrics_port:
        return
    try:
        server = _Server(settings.metrics_host, settings.metrics_port)
    except OSError as error:
        raise DeploymentError(
            f"port {settings.metrics_port} on {settings.metrics_host} cannot be listened on: {error.strerror or error}; give each "
            "process on a machine a FIRSTCALL_METRICS_PORT of its own"
        ) from None
    server.health = health
    metrics.BUILD.info(
        {"version": importlib.metadata.version("firstcall"), "python": platform.python_version(), "role": role}
    )
    threading.Thread(target=server.serve_forever, name="status", daemon=True).start()

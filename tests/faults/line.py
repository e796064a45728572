"""A TCP line between two processes, which a test cuts, slows down, or resets in the middle of a request."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from contextlib import closing, suppress
from typing import Final

#: Closing with this sends a reset instead of an end.
_RESET: Final = struct.pack("ii", 1, 0)
_LOOK_SECONDS: Final = 0.02


class Line:
    """Listens on `port` of loopback and passes on to `to`. Begins mended.

    `sent` counts the bytes that went from clients to the server.
    """

    def __init__(self, to: int, port: int = 0) -> None:
        self._to = to
        with closing(socket.create_server(("127.0.0.1", port))) as found:
            self.port = int(found.getsockname()[1])
        self.sent = 0
        self.resets = 0
        self._reset_after: int | None = None
        self._held = threading.Event()
        self._cut = threading.Event()
        self._thread: threading.Thread | None = None
        self.mend()

    def mend(self) -> None:
        """Listen, and pass on."""
        self._held.clear()
        if self._thread is None:
            self._cut.clear()
            server = socket.create_server(("127.0.0.1", self.port), reuse_port=True)
            self._thread = threading.Thread(target=self._serve, args=(server,), daemon=True)
            self._thread.start()

    def cut(self) -> None:
        """Reset all connections, and refuse new ones."""
        self._cut.set()
        if self._thread is not None:
            self._thread.join(30)
            self._thread = None

    def hold(self) -> None:
        """Pass nothing on, as a network that loses every packet; `mend` delivers what was sent meanwhile."""
        self._held.set()

    def reset_after(self, sent: int) -> None:
        """Reset the connection over which the so-many-th byte from now goes to the server."""
        self._reset_after = self.sent + sent

    def _serve(self, server: socket.socket) -> None:
        with server, selectors.DefaultSelector() as ready:
            ready.register(server, selectors.EVENT_READ)
            while not self._cut.is_set():
                if self._held.is_set():
                    time.sleep(_LOOK_SECONDS)
                    continue
                for key, _ in ready.select(_LOOK_SECONDS):
                    if key.fileobj is server:
                        self._connect(server, ready)
                    elif isinstance(key.fileobj, socket.socket) and key.fd in ready.get_map():
                        self._pass_on(ready, key.fileobj, *key.data)
            for key in list(ready.get_map().values()):
                if isinstance(key.fileobj, socket.socket) and key.fileobj is not server:
                    _reset(key.fileobj)

    def _connect(self, server: socket.socket, ready: selectors.BaseSelector) -> None:
        near = server.accept()[0]
        try:
            far = socket.create_connection(("127.0.0.1", self._to), 5)
        except OSError:
            _reset(near)
            return
        ready.register(near, selectors.EVENT_READ, (far, True))
        ready.register(far, selectors.EVENT_READ, (near, False))

    def _pass_on(self, ready: selectors.BaseSelector, near: socket.socket, far: socket.socket, is_sent: bool) -> None:
        passed = b""
        with suppress(OSError):
            passed = near.recv(1 << 16)
            if is_sent and passed:
                self.sent += len(passed)
                if self._reset_after is not None and self.sent >= self._reset_after:
                    self._reset_after = None
                    self.resets += 1
                    far.sendall(passed[: len(passed) // 2])
                    passed = b""
            if passed:
                far.sendall(passed)
        if not passed:
            for end in (near, far):
                with suppress(KeyError):
                    ready.unregister(end)
                _reset(end)


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.close()

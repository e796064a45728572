"""A TCP line to a server, which a test can cut and mend."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import closing, suppress

PATIENCE_SECONDS = 60


class Line:
    """Listens on `port` of loopback while it is whole; at first it is cut."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        with closing(socket.create_server(("127.0.0.1", 0))) as found:
            self.port = found.getsockname()[1]
        self._cut = threading.Event()
        self._thread: threading.Thread | None = None

    def mend(self) -> None:
        self._cut.clear()
        server = socket.create_server(("127.0.0.1", self.port), reuse_port=True)
        self._thread = threading.Thread(target=self._serve, args=(server,))
        self._thread.start()

    def cut(self) -> None:
        self._cut.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_SECONDS)
            self._thread = None

    def _serve(self, server: socket.socket) -> None:
        with server, selectors.DefaultSelector() as ready:
            ready.register(server, selectors.EVENT_READ)
            while not self._cut.is_set():
                for key, _ in ready.select(0.05):
                    if key.fileobj is server:
                        near, far = server.accept()[0], socket.create_connection(self._to)
                        ready.register(near, selectors.EVENT_READ, far)
                        ready.register(far, selectors.EVENT_READ, near)
                    else:
                        _pass_on(ready, key)
            for key in list(ready.get_map().values()):
                if isinstance(key.fileobj, socket.socket):
                    key.fileobj.close()


def _pass_on(ready: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    near, far = key.fileobj, key.data
    assert isinstance(near, socket.socket)
    passed = b""
    with suppress(OSError):
        passed = near.recv(1 << 16)
        far.sendall(passed)
    if not passed:
        for end in (near, far):
            with suppress(KeyError):
                ready.unregister(end)
            end.close()

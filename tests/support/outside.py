"""A place outside of the embedded ClickHouse: files and a port that nothing it runs may touch."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

#: What is in the file that must not be read.
SECRET = "c4n4ry-in-the-file"


@dataclass
class Outside:
    """A folder with one file, and a port. `touched` lists what has changed."""

    folder: Path
    port: int
    connections: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "canary.tsv"

    def touched(self) -> list[str]:
        """What was written or asked since; nothing, if all held."""
        found = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))
        return (
            [*(name for name in found if name != "canary.tsv"), *self.connections] if found else ["the folder is gone"]
        )


@contextmanager
def outside(folder: Path) -> Iterator[Outside]:
    """Make the file, and listen."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = Outside(folder, listening.getsockname()[1])
        place.file.write_text(f"{SECRET}\n")

        def listen() -> None:
            with suppress(OSError):
                while True:
                    accepted, address = listening.accept()
                    place.connections.append(f"a connection from {address}")
                    accepted.close()

        threading.Thread(target=listen, daemon=True).start()
        yield place
        listening.shutdown(socket.SHUT_RDWR)


def ask(url: str, statement: str, **options: str) -> tuple[int, str]:
    """Run a statement over plain HTTP: the status, and the beginning of the answer."""
    query = urllib.parse.urlencode(options)
    request = urllib.request.Request(f"{url}/?{query}", data=statement.encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as response:
            return response.status, response.read(2000).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(2000).decode("utf-8", "replace")

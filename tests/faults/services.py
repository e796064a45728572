"""The local broker and ClickHouse as services that can be killed, frozen, and kept from writing."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class Tethered(Protocol):
    """A service that runs at the end of a tether: `LocalBroker`, `LocalClickHouse`."""

    _process: subprocess.Popen[bytes] | None

    def start(self) -> None: ...

    def stop(self) -> None: ...


def process_of(service: Tethered) -> int:
    """The process that serves, which is the child of the tether."""
    tether = service._process
    assert tether is not None, "it is started"
    children = Path(f"/proc/{tether.pid}/task/{tether.pid}/children").read_text().split()
    return int(children[0])


def kill(service: Tethered) -> None:
    """`kill -9`. What it had in hand is gone; `start` brings it back."""
    os.kill(process_of(service), signal.SIGKILL)
    assert service._process is not None
    service._process.wait(30)
    service.stop()


@contextmanager
def frozen(process: int) -> Iterator[None]:
    """Stop a process by SIGSTOP, as a suspended machine does, and let it go on in the end."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@contextmanager
def full_disk(process: int, after_bytes: int = 4096) -> Iterator[None]:
    """Let no file of a process grow beyond so many bytes: its writes fail, as on a full disk."""
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (after_bytes, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

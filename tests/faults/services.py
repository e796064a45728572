"""The local broker and ClickHouse as services that can be killed, frozen, and kept from writing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import pytest

from deploy.local.process.child_process import ChildProcess


class LocalService(Protocol):
    """`LocalBroker`, `LocalClickHouse`."""

    @property
    def process(self) -> ChildProcess: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


def process_of(service: LocalService) -> int:
    """The process that serves."""
    parent = service.process._parent.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(children[0])


def kill(service: LocalService) -> None:
    """`kill -9`. What it had in hand is gone; `start` brings it back."""
    os.kill(process_of(service), signal.SIGKILL)
    service.process.wait(30)
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
def small_disk(directory: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own at a directory, in memory. Skips the test where none may be mounted."""
    directory.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)]
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk may be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


#: A disk is filled with so much at once.
_PIECE_BYTES = 1 << 20


@contextmanager
def full_disk(directory: Path, leaving: int = 0) -> Iterator[None]:
    """Leave so many bytes of a disk free, filling it at up to a gigabyte a second, and then give it all back."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as growing, suppress(OSError):
        # The last write is cut short where the disk ends.
        while free_bytes(directory) > leaving and growing.write(bytes(_PIECE_BYTES)) == _PIECE_BYTES:
            time.sleep(_PIECE_BYTES / 10**9)
    try:
        yield
    finally:
        filler.unlink()


def free_bytes(directory: Path) -> int:
    """What is free on a disk."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

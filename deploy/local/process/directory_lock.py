"""A lock on a data directory: one process at a time uses it. Another process can read who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from schemas.errors import DeploymentError

#: How long a service may take to end once the process it ran for is gone.
ENDS_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.1
_FILE_NAME = "in-use.json"


@dataclass(frozen=True)
class Holder:
    """The process that a service runs for, the address that it serves, and the name of this run."""

    pid: int
    address: str
    run: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether that process still runs. Its children may hold the lock a moment longer."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class DirectoryLock:
    """An exclusive lock, held until it is released or every process that holds `descriptor` has ended."""

    def __init__(self, directory: Path, descriptor: int) -> None:
        self.directory = directory
        self.descriptor = descriptor

    @classmethod
    def acquire(cls, directory: Path, service: str) -> Self:
        """Create and lock a directory for a service. Raises DeploymentError when another process holds it.

        If that process is gone and only its children still run, wait until they have ended.
        """
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / _FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        gives_up_at = time.monotonic() + ENDS_WITHIN_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = read_holder(directory)
                if (holder is not None and holder.is_alive) or time.monotonic() > gives_up_at:
                    os.close(descriptor)
                    pid, address = (holder.pid, holder.address) if holder is not None else (0, "unknown")
                    raise DeploymentError(
                        f"another process holds {directory}: process {pid} serves {service} from it at {address}. "
                        "Use that one, end it, or choose another data directory (FIRSTCALL_DATA_DIR)"
                    ) from None
                time.sleep(_POLL_SECONDS)
            else:
                os.ftruncate(descriptor, 0)
                return cls(directory, descriptor)

    def write_holder(self, holder: Holder) -> None:
        """Record who holds the lock, for processes that want it later."""
        text = json.dumps({"pid": holder.pid, "address": holder.address, "run": holder.run}).encode()
        os.pwrite(self.descriptor, text, 0)
        os.ftruncate(self.descriptor, len(text))

    def release(self) -> None:
        """Release the lock. Repeating it changes nothing."""
        if self.descriptor >= 0:
            os.ftruncate(self.descriptor, 0)
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def read_holder(directory: Path) -> Holder | None:
    """The recorded holder of a directory; None when there is none, or it is not recorded yet. It may be out of date."""
    try:
        found = json.loads((directory / _FILE_NAME).read_text())
        return Holder(int(found["pid"]), str(found["address"]), str(found["run"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None

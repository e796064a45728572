"""One process at a time uses a directory of data; a second one learns who has it.

DeploymentError    a local service cannot be started; the message says why and what to do
"""

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
WINDS_DOWN_WITHIN_SECONDS = 30.0
_POLL_SECONDS = 0.1
_FILE_NAME = "in-use.json"


@dataclass(frozen=True)
class Holder:
    """Who uses a directory: the process the service runs for, the address it serves, and a name of this very run."""

    pid: int
    address: str
    run: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether that process still runs. Not the same as its hold: what it started may take a moment longer to end."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class DirectoryLock:
    """The exclusive use of a directory, until it is released or every process that holds `descriptor` has ended."""

    def __init__(self, directory: Path, descriptor: int) -> None:
        self.directory = directory
        self.descriptor = descriptor

    @classmethod
    def take(cls, directory: Path) -> DirectoryLock | Holder:
        """Lock a directory, which is created. If another process has it, say which.

        Where that process is gone and only what it started still winds down, wait for that.
        """
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / _FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        patience_ends = time.monotonic() + WINDS_DOWN_WITHIN_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = read_holder(directory)
                if (holder is not None and holder.is_alive) or time.monotonic() > patience_ends:
                    os.close(descriptor)
                    return holder or Holder(0, "unknown")
                time.sleep(_POLL_SECONDS)
            else:
                os.ftruncate(descriptor, 0)
                return cls(directory, descriptor)

    def announce(self, holder: Holder) -> None:
        """Tell whoever comes later who has the directory."""
        text = json.dumps({"pid": holder.pid, "address": holder.address, "run": holder.run}).encode()
        os.pwrite(self.descriptor, text, 0)
        os.ftruncate(self.descriptor, len(text))

    def release(self) -> None:
        """Give the directory up. Repeating it changes nothing."""
        if self.descriptor >= 0:
            os.ftruncate(self.descriptor, 0)
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def read_holder(directory: Path) -> Holder | None:
    """Who announced to use a directory; None when nobody has, or is just about to. It may be out of date."""
    try:
        found = json.loads((directory / _FILE_NAME).read_text())
        return Holder(int(found["pid"]), str(found["address"]), str(found["run"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def lock_or_explain(directory: Path, service: str) -> DirectoryLock:
    """Lock a directory for a service. Raises DeploymentError when another process holds it."""
    match DirectoryLock.take(directory):
        case Holder(pid=pid, address=address):
            raise DeploymentError(
                f"another process holds {directory}: process {pid} serves {service} from it at {address}. "
                "Use that one, end it, or choose another data directory (FIRSTCALL_DATA_DIR)"
            )
        case claim:
            return claim

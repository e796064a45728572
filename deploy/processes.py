"""The worker and sink processes that one command runs, and signals that unwind like Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from deploy.tether import end_tethered, start_tethered

LOG_LINES_SHOWN = 15


class StartError(RuntimeError):
    """A part cannot be started or has ended. The message says which, why, and where its log is."""


class Terminated(BaseException):
    """The process was asked to end by SIGTERM or SIGHUP; like KeyboardInterrupt, it unwinds to the outermost level."""


@dataclass(frozen=True)
class Ended:
    """A child that ended though nobody asked it to."""

    name: str
    code: int
    log: Path
    last_lines: str


class Children:
    """Commands of Firstcall run as processes of their own, each with a log file. They never outlive this one."""

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        self._log_dir = log_dir
        self._environment = dict(environment)
        self._running: list[tuple[str, subprocess.Popen[bytes], Path]] = []

    def start(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Start `firstcall ARGUMENTS`; what it prints goes to the log file of that name."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        log = self._log_dir / f"{name}.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "deploy.cli", *arguments]
            process = start_tethered(command, output, {**os.environ, **self._environment, **(environment or {})})
        self._running.append((name, process, log))

    def ended(self) -> Ended | None:
        """The first child that has ended, if any."""
        for name, process, log in self._running:
            code = process.poll()
            if code is not None:
                lines = log.read_text("utf-8", "replace").splitlines()[-LOG_LINES_SHOWN:]
                return Ended(name, code, log, "\n".join(lines))
        return None

    def stop(self) -> None:
        """End all children, at the same time. Repeating it changes nothing."""
        for _, process, _ in self._running:
            assert process.stdin is not None, "a tethered process has one"
            process.stdin.close()
        while self._running:
            end_tethered(self._running[-1][1])
            self._running.pop()


@contextmanager
def unwinding_signals() -> Iterator[None]:
    """Let SIGTERM, SIGHUP and SIGINT unwind the stack, so that what was started is ended. Main thread only.

    SIGINT does so anyway, but not in a process that a script has started in the background.
    """

    def unwind(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Terminated(number)

    before = {number: signal.signal(number, unwind) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

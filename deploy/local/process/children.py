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
from typing import BinaryIO, cast

from deploy.local.process.child_process import end_tethered, start_tethered

LOG_LINES_SHOWN = 15


class Terminated(BaseException):
    """The process was asked to end by SIGTERM or SIGHUP; like KeyboardInterrupt, it unwinds to the outermost level."""


@dataclass(frozen=True)
class Ended:
    """A child that ended though nobody asked it to."""

    name: str
    code: int
    log: Path
    last_lines: str


class Child:
    """One of the processes. `url`: where it shows its health, None if nowhere."""

    def __init__(
        self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path, url: str | None
    ) -> None:
        self.name, self.log, self.url = name, log, url
        self._arguments, self._environment = arguments, dict(environment)
        self.process = self._run("wb")

    def start_again(self) -> None:
        """Run the same command anew; it goes on in the same log."""
        self.process = self._run("ab")

    def ended(self, code: int) -> Ended:
        """How it ended, with the end of its log."""
        lines = self.log.read_text("utf-8", "replace").splitlines()[-LOG_LINES_SHOWN:]
        return Ended(self.name, code, self.log, "\n".join(lines))

    def _run(self, mode: str) -> subprocess.Popen[bytes]:
        with self.log.open(mode) as output:
            command = [sys.executable, "-m", "deploy.cli", *self._arguments]
            return start_tethered(command, cast("BinaryIO", output), self._environment)


class Children:
    """Commands of Firstcall run as processes of their own, each with a log file. They never outlive this one."""

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        self._log_dir = log_dir
        self._environment = dict(environment)
        self._running: list[Child] = []

    def start(
        self, name: str, *arguments: str, environment: Mapping[str, str] | None = None, url: str | None = None
    ) -> None:
        """Start `firstcall ARGUMENTS`; what it prints goes to the log file of that name.

        `url`: where it will show its health, if anywhere.
        """
        self._log_dir.mkdir(parents=True, exist_ok=True)
        variables = {**os.environ, **self._environment, **(environment or {})}
        self._running.append(Child(name, arguments, variables, self._log_dir / f"{name}.log", url))

    @property
    def running(self) -> tuple[Child, ...]:
        """All that were started, in order; they may have ended."""
        return tuple(self._running)

    def start_again(self, child: Child) -> None:
        """Start one that has ended."""
        assert child.process.poll() is not None, f"{child.name} has ended"
        child.start_again()

    def end(self, child: Child) -> None:
        """End one: asked to, and killed if it does not."""
        end_tethered(child.process)

    def ended(self) -> Ended | None:
        """The first child that has ended, if any."""
        for child in self._running:
            code = child.process.poll()
            if code is not None:
                return child.ended(code)
        return None

    def stop(self) -> None:
        """End all children, at the same time. Repeating it changes nothing."""
        for child in self._running:
            assert child.process.stdin is not None, "a tethered process has one"
            child.process.stdin.close()
        while self._running:
            end_tethered(self._running[-1].process)
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

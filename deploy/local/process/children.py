"""The Firstcall processes that one command runs, and signals that unwind like Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from deploy.local.process.child_process import ChildProcess, python_module, with_code


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; like KeyboardInterrupt, it unwinds to the outermost level."""


class Child:
    """`firstcall ARGUMENTS` as a child process, started at once. `url`: where it shows its health, None if nowhere."""

    def __init__(
        self, name: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path, url: str | None
    ) -> None:
        self.name, self.log, self.url = name, log, url
        self._command = python_module("deploy.cli", *arguments)
        self._environment = with_code(environment)
        self.process = ChildProcess(self._command, log, self._environment, new_log=True)

    def start_again(self) -> None:
        """Run the same command again, once it has ended; it appends to the same log."""
        assert self.process.exit_code is not None, f"{self.name} has ended"
        self.process = ChildProcess(self._command, self.log, self._environment)


class Children:
    """Commands of Firstcall run as child processes, each with a log file."""

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        self._log_dir = log_dir
        self._environment = dict(environment)
        self._running: list[Child] = []

    def start(
        self, name: str, *arguments: str, environment: Mapping[str, str] | None = None, url: str | None = None
    ) -> None:
        """Start `firstcall ARGUMENTS`; its output goes to the log file of that name.

        `url`: where it will show its health, if anywhere.
        """
        self._log_dir.mkdir(parents=True, exist_ok=True)
        variables = {**os.environ, **self._environment, **(environment or {})}
        self._running.append(Child(name, arguments, variables, self._log_dir / f"{name}.log", url))

    @property
    def running(self) -> tuple[Child, ...]:
        """All that were started, in order; they may have ended."""
        return tuple(self._running)

    def ended(self) -> Child | None:
        return next((child for child in self._running if child.process.exit_code is not None), None)

    def stop(self) -> None:
        """End all children, at the same time. Repeating it changes nothing."""
        for child in self._running:
            child.process.request_end()
        while self._running:
            self._running[-1].process.end()
            self._running.pop()


@contextmanager
def unwinding_signals() -> Iterator[None]:
    """Let SIGTERM, SIGHUP and SIGINT unwind the stack, so that all child processes are ended. Main thread only.

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

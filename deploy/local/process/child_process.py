"""A command that runs as a child process: it never outlives this process, and its output goes to a log file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.local.process import end_with_parent

#: The folder of the packages schemas, streams, sinks and deploy: the checkout, or `firstcall` in site-packages.
CODE: Final = Path(__file__).resolve().parents[3]
LOG_LINES_SHOWN: Final = 15


class ChildProcess:
    """A running command. Its log is appended to, or begins empty with `new_log`.

    The command gets a session of its own, so that Ctrl-C reaches only this process. `keep_open` are file descriptors that
    stay open, and locked if they hold a lock, until the command has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        new_log: bool = False,
        keep_open: Sequence[int] = (),
    ) -> None:
        self.log = log
        with log.open("wb" if new_log else "ab") as output:
            self._log_start = log.stat().st_size
            #: Runs `end_with_parent`; the command is its only child.
            self._parent = subprocess.Popen(
                [sys.executable, "-I", "-S", end_with_parent.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                pass_fds=tuple(keep_open),
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """128 + the number for a signal; None while the command runs."""
        return self._parent.poll()

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait until the command ends by itself. Return its exit code, or None when it still runs."""
        try:
            return self._parent.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def request_end(self) -> None:
        assert self._parent.stdin is not None, "standard input is a pipe"
        self._parent.stdin.close()

    def end(self) -> None:
        """End the command by SIGTERM, then by SIGKILL. It may have ended before."""
        self.request_end()
        if self.wait(end_with_parent.ENDS_WITHIN_SECONDS + 5) is None:
            self._parent.kill()
            self._parent.wait()

    def last_log_lines(self) -> str:
        printed = self.log.read_bytes()[self._log_start :].decode("utf-8", "replace")
        return "\n".join(printed.strip().splitlines()[-LOG_LINES_SHOWN:])


def python_module(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of Firstcall. It needs the environment of `with_code`."""
    # -P: the current folder may have a `deploy` of its own.
    return [sys.executable, "-P", "-m", module, *arguments]


def with_code(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which Python imports the same code of Firstcall as this process does."""
    paths = (str(CODE), environment.get("PYTHONPATH"))
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

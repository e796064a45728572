"""Runs a command and ends it when whoever started it is no more, however that one ended.

    python tether.py COMMAND ARGUMENT...

Whoever starts it holds the other end of its standard input and need not do anything: that end closes with its holder, be it
by `kill -9`. Run by path, on a bare interpreter: it must cost nothing and import only the standard library.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

#: How long the command may take to end when asked, before it is killed.
ENDS_WITHIN_SECONDS = 20.0

_ASKED_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


def start_tethered(
    command: Sequence[str], output: BinaryIO, environment: Mapping[str, str], keep_open: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a command that ends with this process, or when `end_tethered` is called.

    It gets a session of its own, so that Ctrl-C reaches only this process. `keep_open` are file descriptors that stay
    open, and locked if they hold a lock, until the command has ended.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).resolve()), *command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        pass_fds=tuple(keep_open),
        start_new_session=True,
    )


def end_tethered(tether: subprocess.Popen[bytes]) -> int:
    """End a tethered command and return its exit code, 128 + the number for a signal. It may have ended before."""
    if tether.stdin is not None:
        tether.stdin.close()
    try:
        return tether.wait(ENDS_WITHIN_SECONDS + 5)
    except subprocess.TimeoutExpired:
        tether.kill()
        return tether.wait()


def main(command: Sequence[str]) -> int:
    """Run the command until it ends, this process is asked to end, or standard input closes; return the exit code."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (*_ASKED_TO_END, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    # The hook is safe in a process that has only one thread.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_this_process)  # noqa: PLW1509
    while child.poll() is None:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready and any(number in _ASKED_TO_END for number in os.read(woken, 64)):
            break
        if 0 in ready and not os.read(0, 4096):
            break
    child.terminate()
    try:
        code = child.wait(ENDS_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        code = child.wait()
    return code if code >= 0 else 128 - code


def _die_with_this_process() -> None:
    """Ask the kernel to kill the command should this process itself be killed. Only Linux has it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

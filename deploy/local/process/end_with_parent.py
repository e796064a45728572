"""Runs a command and ends it as soon as the parent process is gone, even after `kill -9` of the parent.

    python end_with_parent.py COMMAND ARGUMENT...

The parent holds the write end of this process's standard input, which the kernel closes with the parent.
No library does this: process managers are daemons that outlive their caller, and PR_SET_PDEATHSIG exists on Linux only.
Run by path on a bare interpreter: it imports only the standard library, so it starts within milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence

#: How long the command may take to end after SIGTERM, before it is killed.
ENDS_WITHIN_SECONDS = 20.0

_END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1


def main(command: Sequence[str]) -> int:
    """Run the command until it ends, a signal arrives, or standard input closes; return the exit code."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (*_END_SIGNALS, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    # The hook is safe in a process that has only one thread.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_this_process)  # noqa: PLW1509
    while child.poll() is None:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready and any(number in _END_SIGNALS for number in os.read(woken, 64)):
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
    """Have the kernel kill the command if this process itself is killed. Only Linux has it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A time limit for the end of a process."""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Final

import structlog

#: From a signal to end, or a failure, until the process is gone.
ENDED_WITHIN_SECONDS: Final = 9.0

log = structlog.get_logger("firstcall")


@cache
def end_in_time(code: int = 1) -> None:
    """End the process with that exit code if it has not ended in time.

    At shutdown, clients may wait for each other or for a server without end. Nobody restarts a process that neither works
    nor ends. What it has not acknowledged is processed again.
    """

    def end() -> None:
        log.critical("shutdown_timed_out", seconds=ENDED_WITHIN_SECONDS, exit_code=code)
        os._exit(code)

    timer = threading.Timer(ENDED_WITHIN_SECONDS, end)
    timer.daemon = True
    timer.start()

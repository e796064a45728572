"""Processes whose end cannot be held up."""

from __future__ import annotations

import os
import threading
from functools import cache
from typing import Final

import structlog

#: From the moment that a process is told to end, or fails, until it is gone.
ENDED_WITHIN_SECONDS: Final = 9.0

log = structlog.get_logger("firstcall")


@cache
def end_in_time(code: int = 1) -> None:
    """Let the process end at once, with that exit code, if it does not in time.

    Clients may wait for each other, or for who is away, for ever in the end, and a process that neither works nor ends is
    replaced by no one. What it has not acknowledged is done again.
    """

    def end() -> None:
        log.critical("ends_at_once", because="it did not end in order", seconds=ENDED_WITHIN_SECONDS)
        os._exit(code)

    timer = threading.Timer(ENDED_WITHIN_SECONDS, end)
    timer.daemon = True
    timer.start()

"""Writes batches whatever happens: tries again while ClickHouse is away, and says so once."""

from __future__ import annotations

import threading
import time
from typing import Final

import structlog

from sinks.batch import Batch
from sinks.connection import ClickHouseError
from sinks.row_writer import RowWriter

FIRST_RETRY_SECONDS: Final = 0.25
LAST_RETRY_SECONDS: Final = 10.0

log = structlog.get_logger("firstcall.sink")


class Scribe:
    """Writes batches, one after the other, and waits while ClickHouse is away. Set `stop` to end the waiting."""

    def __init__(self, writer: RowWriter, stop: threading.Event) -> None:
        self._writer = writer
        self._stop = stop
        self._away_since: float | None = None
        self._away_because = ""

    def write(self, batch: Batch) -> bool:
        """Write a batch. False if `stop` was set before ClickHouse took it."""
        delay = FIRST_RETRY_SECONDS
        while True:
            began = time.monotonic()
            try:
                written = batch.write(self._writer)
            except ClickHouseError as error:
                self._note_away(str(error))
                if self._stop.wait(delay):
                    log.warning("stopped; rows not written are read again at the next start", rows=batch.rows)
                    return False
                delay = min(delay * 2, LAST_RETRY_SECONDS)
            else:
                self._note_back()
                if written:
                    seconds = round(time.monotonic() - began, 3)
                    log.info("rows written", rows=batch.rows, bytes=batch.bytes, seconds=seconds, **written)
                return True

    def _note_away(self, because: str) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
        elif because == self._away_because:
            return
        self._away_because = because
        log.warning("ClickHouse takes no rows; they wait in Kafka", error=because)

    def _note_back(self) -> None:
        if self._away_since is not None:
            log.info("ClickHouse takes rows again", seconds_away=round(time.monotonic() - self._away_since, 1))
            self._away_since, self._away_because = None, ""

"""Writes the configuration and then batches, whatever happens: tries again while ClickHouse is away, and says so once."""

from __future__ import annotations

import threading
import time
from typing import Final

import structlog

from schemas import metrics
from schemas.config.definitions import Definitions
from schemas.errors import ClickHouseError
from sinks.batch import Batch
from sinks.clickhouse import connected
from sinks.definition_rows import record
from sinks.insert import RowInserter

FIRST_RETRY_SECONDS: Final = 0.25
LAST_RETRY_SECONDS: Final = 10.0

log = structlog.get_logger("firstcall.sink")


class RetryingWriter:
    """Writes batches, one after the other, and waits while ClickHouse is away. Set `stop` to end the waiting.

    Before the first batch it writes the configuration: no row is there without what the views say of it.
    """

    def __init__(self, writer: RowInserter, definitions: Definitions, stop: threading.Event) -> None:
        self._writer = writer
        #: None once it is written.
        self._definitions: Definitions | None = definitions
        self._stop = stop
        self._away_since: float | None = None
        self._away_because = ""
        #: Since when a batch is being written; None while nothing is.
        self._writing_since: float | None = None
        metrics.CLICKHOUSE_UNAVAILABLE.set_function(self._away_seconds)

    @property
    def waiting(self) -> tuple[str, float, str] | None:
        """For whom it waits, since when on the monotonic clock, and why as far as it is known. For any thread."""
        since = self._writing_since
        return None if since is None else ("ClickHouse", since, self._away_because)

    def _away_seconds(self) -> float:
        since = self._away_since
        return 0.0 if since is None else time.monotonic() - since

    def write(self, batch: Batch) -> bool:
        """Write a batch; an empty one writes the configuration only. False if `stop` was set before ClickHouse took it."""
        self._writing_since = time.monotonic()
        try:
            return self._write(batch)
        finally:
            self._writing_since = None

    def _write(self, batch: Batch) -> bool:
        delay = FIRST_RETRY_SECONDS
        while True:
            began = time.monotonic()
            try:
                self._write_configuration()
                written = batch.write(self._writer)
            except ClickHouseError as error:
                metrics.SINK_RETRIES.inc()
                self._note_away(str(error))
                if self._stop.wait(delay):
                    log.warning("rows_not_written", rows=batch.rows)
                    return False
                delay = min(delay * 2, LAST_RETRY_SECONDS)
            else:
                self._note_back()
                if written:
                    seconds = time.monotonic() - began
                    metrics.SINK_BATCHES.inc()
                    metrics.SINK_WRITE_SECONDS.observe(seconds)
                    log.info("rows_written", rows=batch.rows, bytes=batch.bytes, seconds=round(seconds, 3), **written)
                return True

    def _write_configuration(self) -> None:
        if self._definitions is not None:
            with connected(self._writer.address) as client:
                record(client, self._definitions)
            self._definitions = None

    def _note_away(self, because: str) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
        elif because == self._away_because:
            return
        self._away_because = because
        log.warning("clickhouse_unavailable", error=because)

    def _note_back(self) -> None:
        if self._away_since is not None:
            log.info("clickhouse_available", seconds=round(time.monotonic() - self._away_since, 1))
            self._away_since, self._away_because = None, ""

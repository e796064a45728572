"""Writes batches to ClickHouse, and retries while it is unavailable."""

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
#: The pause doubles up to this; the number of retries is not limited.
LONGEST_PAUSE_SECONDS: Final = 10.0

log = structlog.get_logger("firstcall.sink")


class RetryingWriter:
    """Writes one batch after the other, and waits while ClickHouse is unavailable. Set `stop` to end the waiting.

    Before the first batch it writes the configuration, which the views need for every row.
    """

    def __init__(self, inserter: RowInserter, definitions: Definitions, stop: threading.Event) -> None:
        self._inserter = inserter
        #: None once it is written.
        self._definitions: Definitions | None = definitions
        self._stop = stop
        self._unavailable_since: float | None = None
        self._error = ""
        #: Since when a batch is being written; None while none is.
        self._writing_since: float | None = None
        metrics.CLICKHOUSE_UNAVAILABLE.set_function(self._unavailable_seconds)

    @property
    def waiting(self) -> tuple[str, float, str] | None:
        """The server that it waits for, since when on the monotonic clock, and the last error. Safe from any thread."""
        since = self._writing_since
        return None if since is None else ("ClickHouse", since, self._error)

    def _unavailable_seconds(self) -> float:
        since = self._unavailable_since
        return 0.0 if since is None else time.monotonic() - since

    def write(self, batch: Batch) -> bool:
        """Write a batch; an empty one writes the configuration only. False if `stop` was set before ClickHouse accepted it."""
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
                written = batch.write(self._inserter)
            except ClickHouseError as error:
                metrics.SINK_RETRIES.inc()
                self._note_unavailable(str(error))
                if self._stop.wait(delay):
                    # The next start fetches and writes them again.
                    log.warning("rows_not_written", rows=batch.rows)
                    return False
                delay = min(delay * 2, LONGEST_PAUSE_SECONDS)
            else:
                self._note_available()
                if written:
                    seconds = time.monotonic() - began
                    metrics.SINK_BATCHES.inc()
                    metrics.SINK_WRITE_SECONDS.observe(seconds)
                    log.info("rows_written", rows=batch.rows, bytes=batch.bytes, seconds=round(seconds, 3), **written)
                return True

    def _write_configuration(self) -> None:
        if self._definitions is not None:
            with connected(self._inserter.address) as client:
                record(client, self._definitions)
            self._definitions = None

    def _note_unavailable(self, error: str) -> None:
        """Log an error once, until another one or a success comes."""
        if self._unavailable_since is None:
            self._unavailable_since = time.monotonic()
        elif error == self._error:
            return
        self._error = error
        log.warning("clickhouse_unavailable", error=error)

    def _note_available(self) -> None:
        if self._unavailable_since is not None:
            log.info("clickhouse_available", seconds=round(time.monotonic() - self._unavailable_since, 1))
            self._unavailable_since, self._error = None, ""

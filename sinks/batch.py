"""Rows that are written together, and what becomes of those that ClickHouse refuses."""

from __future__ import annotations

from typing import Final, NamedTuple

import orjson

from schemas import metrics
from schemas.event import Rejected
from sinks.insert import RowInserter
from streams.messages.dead_letters import dead_letter_columns
from streams.normalise.redaction import redacted

DEAD_LETTER_ROWS: Final = "dead_letter_rows"

#: Enough of ClickHouse's complaint to understand it; the rest repeats the row.
MAX_DETAIL_CHARACTERS: Final = 500


class SourceMessage(NamedTuple):
    """Where a row comes from. `timestamp`: of the message, in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int


class _Refused(NamedTuple):
    origin: SourceMessage
    row: bytes
    detail: str


class Batch:
    """Rows by table, each with its origin."""

    def __init__(self) -> None:
        self._tables: dict[str, tuple[list[bytes], list[SourceMessage]]] = {}
        self._refused: list[_Refused] = []
        self.rows = 0
        self.bytes = 0
        #: How many rows have become dead letters.
        self.refusals = 0

    def add(self, table: str, row: bytes, origin: SourceMessage) -> None:
        """Collect a row."""
        waiting = self._tables.get(table)
        if waiting is None:
            waiting = self._tables[table] = ([], [])
        waiting[0].append(row)
        waiting[1].append(origin)
        self.rows += 1
        self.bytes += len(row)

    def refuse(self, row: bytes, origin: SourceMessage, detail: str) -> None:
        """Make a row that no table can take a dead letter. It counts as a row: memory is bounded by them."""
        self._refuse(origin, row, detail)
        self.rows += 1
        self.bytes += len(row)

    def write(self, writer: RowInserter) -> dict[str, int]:
        """Write all rows, table by table, and give the number of rows written by this call, by table.

        A row that ClickHouse can never take becomes a dead letter; the others are written. Raises ClickHouseError: then
        what is not known to be written stays, and the next call writes it.
        """
        written: dict[str, int] = {}
        for table, (rows, origins) in list(self._tables.items()):
            for place, detail in writer.write(table, rows):
                metrics.SINK_REFUSED_ROWS.labels(table).inc()
                self._refuse(origins[place], rows[place], detail)
            metrics.SINK_ROWS.labels(table).inc(len(rows))
            written[table] = len(rows)
            del self._tables[table]
        if self._refused:
            letters = [_dead_letter(refused) for refused in self._refused]
            lost = writer.write(DEAD_LETTER_ROWS, letters)
            assert not lost, f"a dead letter is refused itself: {lost[0].detail}"
            written[DEAD_LETTER_ROWS] = written.get(DEAD_LETTER_ROWS, 0) + len(letters)
            self._refused.clear()
        return written

    def _refuse(self, origin: SourceMessage, row: bytes, detail: str) -> None:
        self._refused.append(_Refused(origin, row, detail))
        self.refusals += 1


def _dead_letter(refused: _Refused) -> bytes:
    topic, partition, offset, timestamp = refused.origin
    rejected = Rejected("row_refused", "", refused.detail[:MAX_DETAIL_CHARACTERS])
    return orjson.dumps(dead_letter_columns((topic, partition, offset), rejected, redacted(refused.row), timestamp))

"""Rows that are written together. Those that ClickHouse refuses become dead letters."""

from __future__ import annotations

from typing import Final, NamedTuple

import orjson

from schemas import metrics
from schemas.event import Rejected
from sinks.insert import RowInserter
from streams.messages.dead_letters import dead_letter_columns
from streams.normalise.excerpt import excerpt_of

DEAD_LETTER_ROWS: Final = "dead_letter_rows"

#: The beginning of ClickHouse's error explains it; the rest repeats the row.
MAX_DETAIL_CHARACTERS: Final = 500


class SourceMessage(NamedTuple):
    """The message that a row comes from. `timestamp`: in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int


class _Refused(NamedTuple):
    source: SourceMessage
    row: bytes
    detail: str


class Batch:
    """Rows by table, each with its source message."""

    def __init__(self) -> None:
        self._tables: dict[str, tuple[list[bytes], list[SourceMessage]]] = {}
        self._refused: list[_Refused] = []
        self.rows = 0
        self.bytes = 0
        #: Rows that have become dead letters.
        self.refusals = 0

    def add(self, table: str, row: bytes, source: SourceMessage) -> None:
        waiting = self._tables.get(table)
        if waiting is None:
            waiting = self._tables[table] = ([], [])
        waiting[0].append(row)
        waiting[1].append(source)
        self.rows += 1
        self.bytes += len(row)

    def refuse(self, row: bytes, source: SourceMessage, detail: str) -> None:
        """Make a row that no table can hold a dead letter. It counts as a row, so that memory is bounded."""
        self._refuse(source, row, detail)
        self.rows += 1
        self.bytes += len(row)

    def write(self, inserter: RowInserter) -> dict[str, int]:
        """Write all rows, table by table, and return the number of rows written by this call, by table.

        A row that ClickHouse can never accept becomes a dead letter; the others are written. Raises ClickHouseError: then
        rows that may not be written stay, and the next call writes them.
        """
        written: dict[str, int] = {}
        for table, (rows, sources) in list(self._tables.items()):
            for number, detail in inserter.write(table, rows):
                metrics.SINK_REFUSED_ROWS.labels(table).inc()
                self._refuse(sources[number], rows[number], detail)
            metrics.SINK_ROWS.labels(table).inc(len(rows))
            written[table] = len(rows)
            del self._tables[table]
        if self._refused:
            letters = [_dead_letter(refused) for refused in self._refused]
            lost = inserter.write(DEAD_LETTER_ROWS, letters)
            assert not lost, f"a dead letter is refused itself: {lost[0].detail}"
            written[DEAD_LETTER_ROWS] = written.get(DEAD_LETTER_ROWS, 0) + len(letters)
            self._refused.clear()
        return written

    def _refuse(self, source: SourceMessage, row: bytes, detail: str) -> None:
        self._refused.append(_Refused(source, row, detail))
        self.refusals += 1


def _dead_letter(refused: _Refused) -> bytes:
    topic, partition, offset, timestamp = refused.source
    rejected = Rejected("row_refused", "", refused.detail[:MAX_DETAIL_CHARACTERS])
    return orjson.dumps(dead_letter_columns((topic, partition, offset), rejected, excerpt_of(refused.row), timestamp))

"""From messages to rows in ClickHouse: what belongs into which table.

Stateless but for the rows that are not written yet. Writing a message twice changes nothing, so whoever reads messages may
read them again after any failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from schemas.config.definitions import Definitions
from schemas.event import Event
from sinks.batch import DEAD_LETTER_ROWS, Batch, SourceMessage
from sinks.insert import RowInserter
from sinks.touch_rows import TOUCH_ROWS, TouchReader
from streams import topology
from streams.normalise.normaliser import Normaliser

EVENT_ROWS: Final = "event_rows"

#: The table of each topic whose messages are rows already.
TABLE_BY_TOPIC: Final[Mapping[str, str]] = {
    topology.IDENTITIES: "identity_rows",
    topology.PROFILES: "profile_rows",
    topology.ACTIVITY: "activity_rows",
    topology.ROLLING_COUNTS: "rolling_rows",
    topology.DEAD_LETTERS: DEAD_LETTER_ROWS,
}

# Equal objects become equal texts, whatever the order of their fields: ClickHouse tells copies of an event by them.
_encode_event = msgspec.json.Encoder(order="deterministic").encode


class RowCollector:
    """Collects the rows of messages (`add`) and writes them (`write`).

    `topic_name`: the name in Kafka of a topic of `streams.topology`.
    """

    def __init__(self, writer: RowInserter, normaliser: Normaliser, *, topic_name: Callable[[str], str] = str) -> None:
        self._writer = writer
        self._topic_name = topic_name
        self._normaliser = normaliser
        self._touch_row = TouchReader(normaliser.definitions)
        self._tables = {topic_name(topic): table for topic, table in TABLE_BY_TOPIC.items()}
        self._sources = {topic_name(topic.name): topology.source_of(topic.name) for topic in topology.INPUTS}
        self._batch = Batch()

    @property
    def definitions(self) -> Definitions:
        """What its rows are made under."""
        return self._normaliser.definitions

    @property
    def topics(self) -> list[str]:
        """The topics whose messages it takes, by their names in Kafka."""
        return [*self._sources, *self._tables]

    @property
    def aging_topics(self) -> list[str]:
        """Those of its topics of which Kafka deletes records by age or size."""
        aging = [topic.name for topic in (*topology.INPUTS, *topology.ROWS) if topic.cleanup == "delete"]
        return [self._topic_name(topic) for topic in aging]

    @property
    def waiting_rows(self) -> int:
        """Rows collected and not written."""
        return self._batch.rows

    @property
    def waiting_bytes(self) -> int:
        """Size of the rows collected and not written."""
        return self._batch.bytes

    def add(self, topic: str, value: bytes | None, timestamp: int, partition: int = -1, offset: int = -1) -> None:
        """Collect the rows of a message: of an event of an input topic, or a row.

        A message that is no event is left out: the streams report it. So is a row without a value, which only tells
        Kafka to forget its key. `timestamp`: the message's own, in ms. Raises KeyError for any other topic.
        """
        source = self._sources.get(topic)
        if source is not None:
            for event in self._normaliser(value, source=source, recorded_at=timestamp):
                if isinstance(event, Event):
                    self._add_event(event, SourceMessage(topic, partition, offset, timestamp))
            return
        table = self._tables[topic]
        if value:
            origin = SourceMessage(topic, partition, offset, timestamp)
            wrong = _wrong(value)
            if wrong:
                self._batch.refuse(value, origin, wrong)
            else:
                self._batch.add(table, value, origin)

    def _add_event(self, event: Event, origin: SourceMessage) -> None:
        self._batch.add(EVENT_ROWS, _encode_event(event), origin)
        touch = self._touch_row(event)
        if touch is not None:
            self._batch.add(TOUCH_ROWS, touch, origin)

    def take(self) -> Batch:
        """Hand over what is collected, to be written by someone else."""
        taken, self._batch = self._batch, Batch()
        return taken

    def write(self) -> dict[str, int]:
        """Write what is collected, and give the number of rows by table.

        A row that ClickHouse can never take becomes a dead letter. Raises ClickHouseError: then what is not known to be
        written stays collected, and the next call writes it.
        """
        written = self._batch.write(self._writer)
        self._batch = Batch()
        return written

    def close(self) -> None:
        """Close the connections to ClickHouse. Rows not written are forgotten."""
        self._writer.close()


def _wrong(row: bytes) -> str:
    """What is wrong with a row that ClickHouse would take for something else; empty if nothing is."""
    if not (row.startswith(b"{") and row.endswith(b"}")):
        # Of brackets, blanks and the like it would make no row, and say nothing.
        return "a row is a JSON object"
    try:
        row.decode()
    except UnicodeDecodeError as error:
        # It would store such a text, and no client could read it.
        return str(error)
    return ""

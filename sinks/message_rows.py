"""From messages to rows in ClickHouse: which message becomes which row of which table.

The only state is rows that are not written yet. Writing a message twice changes nothing, so after any failure messages are
read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

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

# Equal objects become equal texts, whatever the order of their fields: ClickHouse compares copies of an event by them.
_encode_event = msgspec.json.Encoder(order="deterministic").encode


class RowCollector:
    """Collects the rows of messages (`add`) and writes them (`write`).

    `topic_name`: the name in Kafka of a topic of `streams.topology`.
    """

    def __init__(
        self, inserter: RowInserter, normaliser: Normaliser, *, topic_name: Callable[[str], str] = str
    ) -> None:
        self._inserter = inserter
        self._topic_name = topic_name
        self.normaliser = normaliser
        self._touch_row = TouchReader(normaliser.definitions)
        self._tables = {topic_name(topic): table for topic, table in TABLE_BY_TOPIC.items()}
        self._sources = {topic_name(topic.name): topology.source_of(topic.name) for topic in topology.INPUTS}
        #: Rows that are collected and not written.
        self.batch = Batch()

    @property
    def topics(self) -> list[str]:
        """The topics whose messages it collects, by their names in Kafka."""
        return [*self._sources, *self._tables]

    @property
    def aging_topics(self) -> list[str]:
        """Those of its topics whose records Kafka deletes by age or size."""
        aging = [topic.name for topic in (*topology.INPUTS, *topology.ROWS) if topic.cleanup == "delete"]
        return [self._topic_name(topic) for topic in aging]

    def add(self, topic: str, value: bytes | None, timestamp: int, partition: int = -1, offset: int = -1) -> None:
        """Collect the rows of a message of an input topic, or the row that a message of a row topic is.

        A message that is no event is skipped: the streams publish its dead letter. So is a row without a value, which only
        deletes its key in Kafka. `timestamp`: the message's own, in ms. Raises KeyError for any other topic.
        """
        source = self._sources.get(topic)
        if source is not None:
            for event in self.normaliser(value, source=source, recorded_at=timestamp):
                if isinstance(event, Event):
                    self._add_event(event, SourceMessage(topic, partition, offset, timestamp))
            return
        table = self._tables[topic]
        if value:
            source_message = SourceMessage(topic, partition, offset, timestamp)
            problem = _problem(value)
            if problem:
                self.batch.refuse(value, source_message, problem)
            else:
                self.batch.add(table, value, source_message)

    def _add_event(self, event: Event, source: SourceMessage) -> None:
        self.batch.add(EVENT_ROWS, _encode_event(event), source)
        touch = self._touch_row(event)
        if touch is not None:
            self.batch.add(TOUCH_ROWS, touch, source)

    def take(self) -> Batch:
        taken, self.batch = self.batch, Batch()
        return taken

    def write(self) -> dict[str, int]:
        """Write the collected rows, and return the number of rows by table. Raises ClickHouseError, as `Batch.write` does."""
        written = self.batch.write(self._inserter)
        self.batch = Batch()
        return written

    def close(self) -> None:
        """Close the connections to ClickHouse. Rows that are not written are lost."""
        self._inserter.close()


def _problem(row: bytes) -> str:
    """Why ClickHouse would misread a row; empty if it would not."""
    if not (row.startswith(b"{") and row.endswith(b"}")):
        # It would make no row of brackets, blanks and the like, without an error.
        return "a row is a JSON object"
    try:
        row.decode()
    except UnicodeDecodeError as error:
        # It would store the text, and no client could read it.
        return str(error)
    return ""

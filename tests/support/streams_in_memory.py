"""Feeds records to the streams in one process and reads what they publish, in memory or from the views of ClickHouse."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from schemas.config.definitions import Definitions
from sinks.clickhouse import Address, connect
from sinks.insert import RowInserter
from sinks.message_rows import RowCollector
from streams.local import LocalRunner
from streams.messages.outbox import Message
from streams.normalise.normaliser import Normaliser
from tests.support.contract_reader import read_contract, wire
from tests.support.published import RowTopics
from tests.support.reference import Published, Record
from tests.support.worlds import SECRETS


class InMemoryStreams:
    """Streams that run while more is fed to them. The seed decides which processor folds a batch next.

    With the address of a ClickHouse, every row goes there too, and events with them; `in_views` reads them.
    """

    def __init__(
        self, definitions: Definitions, *, partitions: int = 1, seed: int = 0, tables: Address | None = None
    ) -> None:
        self._definitions = definitions
        self._rows = RowTopics()
        choose = Random(seed).choice
        self._runner = LocalRunner(definitions, SECRETS, self._take, partitions=partitions, choose=choose)
        self._tables = tables
        self._sink = RowCollector(RowInserter(tables), Normaliser(definitions, SECRETS)) if tables else None

    def feed(self, records: Sequence[Record], *, batch: int = 1_000) -> None:
        """Feed records in batches, and wait until all that follows from them is done."""
        for start in range(0, len(records), batch):
            for record in records[start : start + batch]:
                topic, value = f"{record.topic}-events", wire(record)
                self._runner.feed(topic, [(record.timestamp_ms, value)])
                if self._sink:
                    self._sink.add(topic, value, record.timestamp_ms)
            self._runner.run_until_idle()
        if self._sink:
            self._sink.write()

    def published(self) -> Published:
        """What is on the row topics now."""
        return self._rows.published()

    def in_views(self) -> Published:
        """What the views hold now."""
        assert self._tables is not None, "made without tables"
        with connect(self._tables) as client:
            return read_contract(client)

    def close(self) -> None:
        """Leave ClickHouse."""
        if self._sink:
            self._sink.close()

    def _take(self, messages: list[Message]) -> None:
        self._rows.add(messages)
        if self._sink:
            for message in messages:
                self._sink.add(message.topic, message.value, 0)

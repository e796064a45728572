"""The whole job in one process, without Kafka: events in, tables in ClickHouse out.

The same processors and the same sink as on Kafka, with the topics as lists and the streams' tables in memory. The fastest way
to load history; streams cannot continue from it, as their state is not kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from deploy.importer.feed import Lost
from schemas.config.definitions import Definitions
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from sinks.clickhouse import Address, connected
from sinks.definition_rows import write_definitions
from sinks.insert import RowInserter
from sinks.message_rows import RowCollector
from sinks.reconcile import reconcile
from streams.local import LocalRunner
from streams.messages.outbox import Message
from streams.normalise.normaliser import Normaliser
from streams.topology import INPUTS

BATCH_MESSAGES: Final = 20_000


class InProcess:
    """A destination of messages that processes them itself. All rows are written when `finish` returns.

    Raises DeploymentError when the database holds profiles already.
    """

    def __init__(self, settings: Settings, definitions: Definitions, secrets: Sequence[bytes]) -> None:
        address = Address.parse(settings.clickhouse_address)
        _check_empty(address)
        self._address = address
        self._settings = settings
        self._definitions = definitions
        self._sink = RowCollector(RowInserter(address), Normaliser(definitions, secrets))
        self._runner = LocalRunner(definitions, secrets, self._take_rows)
        self._waiting: dict[str, list[tuple[int, bytes]]] = {topic.name: [] for topic in INPUTS}

    def send(self, topic: str, key: bytes | None, message: bytes) -> None:  # noqa: ARG002 - there is one partition
        waiting = self._waiting[topic]
        waiting.append((int(time.time() * 1000), message))
        if len(waiting) >= BATCH_MESSAGES:
            self._process(topic)

    def finish(self) -> Lost:
        for topic in self._waiting:
            self._process(topic)
        self._sink.write()
        self._sink.close()
        with connected(self._address) as client:
            write_definitions(client, self._definitions)
            reconcile(client)
        return Lost(0, "")

    def _process(self, topic: str) -> None:
        messages, self._waiting[topic] = self._waiting[topic], []
        for timestamp, message in messages:
            self._sink.add(topic, message, timestamp)
        self._runner.feed(topic, messages)
        self._runner.run_until_idle()
        if self._sink.batch.rows >= self._settings.sink_batch_rows:
            self._sink.write()

    def _take_rows(self, rows: Sequence[Message]) -> None:
        now = int(time.time() * 1000)
        for row in rows:
            self._sink.add(row.topic, row.value, now)


def _check_empty(address: Address) -> None:
    with connected(address) as client:
        found = client.query("SELECT count() FROM profile_rows").result_rows[0][0]
    if found:
        raise DeploymentError(
            f"{address} holds {found:,} profile rows already; give an empty database, as that of another FIRSTCALL_DATA_DIR"
        )

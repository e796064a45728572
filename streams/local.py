"""The streams in one process, without Kafka: the same processors, topics as lists, tables in memory.

Imports of history use it, since it is the fastest way; the laws are tested on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final
from zlib import crc32

from schemas.config.definitions import Definitions
from streams import processors, topology
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.outbox import Message
from streams.normalise.normaliser import Normaliser
from streams.normalise.suppression_list import SuppressionList
from streams.processors import Delivered, Outcome, Received
from streams.state.rows import MemoryStore

ROW_TOPICS: Final = frozenset(topic.name for topic in topology.ROWS)


class LocalRunner:
    """Runs every processor until nothing is left to do.

    `on_rows` gets the messages of the row topics. `partitions`: of the internal topics. `batch_size`: messages a processor
    takes at once. `choose`: which of the (topic, partition) that have messages is next; the first by default. `erased`:
    suppresses events.
    """

    def __init__(
        self,
        definitions: Definitions,
        secrets: Sequence[bytes],
        on_rows: Callable[[list[Message]], None],
        *,
        partitions: int = 1,
        batch_size: int = 2_000,
        choose: Callable[[list[tuple[str, int]]], tuple[str, int]] = lambda waiting: waiting[0],
        erased: SuppressionList | None = None,
    ) -> None:
        self.compiled = CompiledDefinitions(definitions)
        self._normaliser = Normaliser(definitions, secrets, erased)
        self._on_rows = on_rows
        self._partitions = partitions
        self._batch_size = batch_size
        self._choose = choose
        self._stores: dict[tuple[str, int], MemoryStore] = defaultdict(MemoryStore)
        self._waiting: dict[tuple[str, int], list[Delivered]] = defaultdict(list)
        self._offsets: dict[tuple[str, int], int] = defaultdict(int)
        self._received: dict[str, int] = defaultdict(int)

    def feed(self, topic: str, messages: Sequence[tuple[int, bytes]]) -> None:
        """Normalise messages of an input topic, given as (timestamp in ms, value). Folding is left to `run_until_idle`."""
        batch: list[Received] = []
        for timestamp, value in messages:
            batch.append((0, self._received[topic], timestamp, value))
            self._received[topic] += 1
        source = topology.source_of(topic)
        self.enqueue(processors.normalise_events(self.compiled, self._normaliser, topic, source, batch))

    def run_until_idle(self) -> None:
        while self.run_one_batch():
            pass

    def run_one_batch(self) -> bool:
        """Let one processor fold one batch; False if no message is left."""
        waiting = [partition for partition, queue in self._waiting.items() if queue]
        if waiting:
            self._run_batch(self._choose(waiting))
        return bool(waiting)

    def state(self) -> bytes:
        """All that the tables hold, keys and rows."""
        return b"\n".join(part for store in self._stores.values() for row in store.rows() for part in row)

    def _run_batch(self, source: tuple[str, int]) -> None:
        topic, partition = source
        store, waiting = self._stores[source], self._waiting[source]
        end = processors.interrupted_batch_end(self.compiled, store, topic)
        again = sum(1 for offset, _ in waiting if offset <= end)
        batch = waiting[:again] or processors.split_at_orders(waiting[: self._batch_size])[0]
        self._apply(store, processors.PROCESSORS[topic](self.compiled, store, f"{topic}/{partition}", batch))
        self._waiting[source] = waiting[len(batch) :]

    def _apply(self, store: MemoryStore, outcome: Outcome) -> None:
        store.write(outcome.intent)
        self.enqueue(outcome.messages)
        store.write(outcome.changes)

    def enqueue(self, messages: list[Message]) -> None:
        rows = [message for message in messages if message.topic in ROW_TOPICS]
        if rows:
            self._on_rows(rows)
        for message in messages:
            if message.topic not in ROW_TOPICS:
                partition = 0 if message.topic == topology.MERGES else crc32(message.key) % self._partitions
                target = (message.topic, partition)
                self._waiting[target].append((self._offsets[target], message.value))
                self._offsets[target] += 1

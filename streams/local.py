"""The streams in one process, without Kafka: the same stages, topics as lists, tables in memory.

The fastest way to load history, and what the laws are tested on.
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
    takes at once. `choose`: which of the (topic, partition) that have messages goes next; the first by default.
    `erased`: whose events are void.
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
        """Take in messages of an input topic, as (timestamp in ms, value). Nothing is folded before `settle`."""
        batch: list[Received] = []
        for timestamp, value in messages:
            batch.append((0, self._received[topic], timestamp, value))
            self._received[topic] += 1
        source = topology.source_of(topic)
        self.tell(processors.normalise_events(self.compiled, self._normaliser, topic, source, batch))

    def settle(self) -> None:
        """Run the stages until nothing is left to do."""
        while self.step_any():
            pass

    def step_any(self) -> bool:
        """Let one processor take one batch; False if nothing is left to do."""
        waiting = [place for place, queue in self._waiting.items() if queue]
        if waiting:
            self._step(self._choose(waiting))
        return bool(waiting)

    def state(self) -> bytes:
        """All that the tables hold, keys and rows."""
        return b"\n".join(part for store in self._stores.values() for row in store.rows() for part in row)

    def _step(self, place: tuple[str, int]) -> None:
        topic, partition = place
        store, waiting = self._stores[place], self._waiting[place]
        interrupted_to = processors.interrupted_to(self.compiled, store, topic)
        again = sum(1 for offset, _ in waiting if offset <= interrupted_to)
        batch = waiting[:again] or processors.parts(waiting[: self._batch_size])[0]
        self._apply(store, processors.PROCESSORS[topic](self.compiled, store, f"{topic}/{partition}", batch))
        self._waiting[place] = waiting[len(batch) :]

    def _apply(self, store: MemoryStore, outcome: Outcome) -> None:
        store.write(outcome.intent)
        self.tell(outcome.messages)
        store.write(outcome.changes)

    def tell(self, messages: list[Message]) -> None:
        """Put messages on their topics."""
        rows = [message for message in messages if message.topic in ROW_TOPICS]
        if rows:
            self._on_rows(rows)
        for message in messages:
            if message.topic not in ROW_TOPICS:
                partition = 0 if message.topic == topology.MERGES else crc32(message.key) % self._partitions
                place = (message.topic, partition)
                self._waiting[place].append((self._offsets[place], message.value))
                self._offsets[place] += 1

"""Faust agents that process batches: accept, process, acknowledge."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, cast

import structlog
from faust.types import TP, EventT, Message

from schemas import metrics
from schemas.config.settings import Settings
from streams import processors, topology
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.processors import Delivered, Processor
from streams.runtime.batch import Batch
from streams.runtime.commit_order import CommitOrder
from streams.runtime.faust_app import StreamsApp
from streams.runtime.state_store import RowTable

log = structlog.get_logger("firstcall.streams")

#: Processes a batch. False: the batch is kept until the rest of an interrupted batch has come.
Process = Callable[[Batch, Message], Awaitable[bool]]


class Agents:
    """Declares the agents and tables of a worker.

    `processors`: the name of the processor by topic, as the topic is named in Kafka. `tables`: by the processor's name.
    """

    def __init__(
        self, app: StreamsApp, settings: Settings, compiled: CompiledDefinitions, commit_order: CommitOrder
    ) -> None:
        self.processors: dict[str, str] = {}
        self.tables: dict[str, RowTable] = {}
        self._app = app
        self._settings = settings
        self._compiled = compiled
        self._commit_order = commit_order
        #: The generation of the consumer group in which the definitions behind the state were last checked.
        self._checked_in: int | None = None

    def table(self, name: str, topic: topology.Topic) -> RowTable:
        table = self._app.Table(
            name,
            partitions=1 if topic.single else self._settings.partitions,
            key_type=bytes,
            value_type=bytes,
            extra_topic_configs=topology.OWN_TOPICS,
        )
        self.tables[name] = cast("RowTable", table)
        return self.tables[name]

    def fold(self, topic: topology.Topic, processor: Processor) -> None:
        """Declare the agent that folds a topic into its table, both named as the processor."""
        name = processor.__name__
        self.declare(name, (topic,), _Fold(self._compiled, self._commit_order, self.table(name, topic), processor))

    def declare(self, name: str, topics: Sequence[topology.Topic], process: Process) -> None:
        """Declare an agent that processes topics batch by batch. An error in `process` stops the worker."""
        names = [self._settings.topic(topic.name) for topic in topics]
        self.processors |= dict.fromkeys(names, name)

        async def agent(stream: Any) -> AsyncIterator[None]:
            event: EventT[Any]
            kept: dict[TP, list[tuple[Batch, Message]]] = defaultdict(list)
            self._app.queues[name] = stream.channel.queue
            async for event in stream.noack().events():
                began = perf_counter()
                batch, message = cast("Batch", event.value), event.message
                assert self._app.reader is not None, "a batch comes from the consumer"
                if not self._app.reader.accept(batch, message):
                    event.ack()
                    continue
                kept[batch.tp].append((batch, message))
                try:
                    self._check_definitions()
                    if await process(batch, message):
                        finished = kept.pop(batch.tp)
                        self._commit_order.acknowledge(finished, batch.tp)
                        records = sum(len(each.records) for each, _ in finished)
                        metrics.MESSAGES_READ.labels(name, batch.tp.topic).inc(records)
                except asyncio.CancelledError:
                    raise
                except Exception as error:
                    log.exception("batch_failed", error=str(error), **_fields(name, batch, began))
                    await self._app.crash(error)
                    raise
                finally:
                    event.ack()
                metrics.BATCHES.labels(name).observe(perf_counter() - began)
                log.debug("batch_processed", records=len(batch.records), **_fields(name, batch, began))
                yield

        agent.__name__ = agent.__qualname__ = name
        channel = self._app.topic(
            *names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
        )
        self._app.agent(channel, name=name)(agent)

    def _check_definitions(self) -> None:
        """Raise StateError if any table of this worker was made under other definitions.

        All tables are checked before the first message of a generation is processed. A message that is sent under other
        definitions would be joined by the next processor, and a partition without state would adopt them.
        """
        generation = self._app.consumer_generation_id
        if self._checked_in != generation:
            for name, table in self.tables.items():
                for rows in table.store.open_partitions():
                    processors.interrupted_batch_end(self._compiled, rows, name)
            self._checked_in = generation


class _Fold:
    """Folds batches of a topic into a table. After a crash it folds an interrupted batch again by itself, and as a whole."""

    def __init__(
        self, compiled: CompiledDefinitions, commit_order: CommitOrder, table: RowTable, processor: Processor
    ) -> None:
        self._compiled = compiled
        self._commit_order = commit_order
        self._table = table
        self._processor = processor
        #: The generation and the messages of an interrupted batch whose rest has not come yet.
        self._incomplete: dict[TP, tuple[int | None, list[Delivered]]] = {}

    async def __call__(self, batch: Batch, message: Message) -> bool:
        tp = batch.tp
        rows = self._table.store.partition(tp.partition)
        generation, delivered = self._incomplete.pop(tp, (message.generation_id, []))
        if generation != message.generation_id:
            delivered = []
        delivered += [(record.offset, record.value) for record in batch.records]
        end = processors.interrupted_batch_end(self._compiled, rows, self._table.name)
        again = [each for each in delivered if each[0] <= end]
        if again and delivered[-1][0] < end:
            self._incomplete[tp] = (message.generation_id, delivered)
            return False
        for part in (again, *processors.split_at_orders(delivered[len(again) :])):
            if part:
                outcome = self._processor(self._compiled, rows, scope_of(tp), part)
                await self._commit_order.make_durable(self._table, tp, outcome)
        return True


def scope_of(tp: TP) -> str:
    """The name of a partition's share of the rolling counts."""
    return f"{tp.topic}/{tp.partition}"


def _fields(name: str, batch: Batch, began: float) -> dict[str, Any]:
    return {
        "processor": name,
        "topic": batch.tp.topic,
        "partition": batch.tp.partition,
        "first_offset": batch.start,
        "next_offset": batch.end,
        "seconds": round(perf_counter() - began, 4),
    }

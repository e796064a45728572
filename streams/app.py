"""The Faust app: tables and agents in the order of the dataflow. An agent's body is gather, decide, apply.

Deciding is `streams.processors`; applying makes the parts of its outcome durable, one after the other, and only then says
`done`. A crash at any point leads to the same batch again, and every effect of a batch is idempotent.
"""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, Final, cast

import msgspec
import structlog
from confluent_kafka import KafkaException
from faust.tables.manager import TableManager
from faust.types import TP, EventT, Message
from prometheus_client import REGISTRY

from schemas.config import definitions
from schemas.config.definitions import Definitions
from schemas.config.loading import hmac_secrets
from schemas.config.settings import Settings
from schemas.errors import FencedError
from streams import processors, topology
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.outbox import Message as Outgoing
from streams.normalise.normaliser import Normaliser
from streams.normalise.suppression_list import SuppressionList
from streams.processors import Change, Delivered, Outcome, Processor
from streams.runtime import metrics, worker_status
from streams.runtime.batch import Batch
from streams.runtime.batch_consumer import BatchConsumer
from streams.runtime.brokers import Brokers
from streams.runtime.faust_app import Process, make_app
from streams.runtime.fencing import WriterFence, header
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.lease import Lease, WallClock
from streams.runtime.producer import AcknowledgedProducer
from streams.runtime.state_store import PartitionRows, RowTable
from streams.runtime.suppression_feed import RETRY_SECONDS, SuppressionFeed
from streams.runtime.watchdog import Watchdog

log = structlog.get_logger("firstcall.streams")

LEASE_CHECK_SECONDS: Final = 1.0
SIZE_SECONDS: Final = 10.0
#: For so long the brokers may leave unanswered who was erased before the worker stops; without it no event is taken.
ERASURES_WITHIN_SECONDS: Final = 60.0

#: What an agent does with a batch: whether it has finished it.
Work = Callable[[Batch, Message], Awaitable[bool]]


class _Letter(msgspec.Struct):
    """What is counted of a dead letter."""

    reason: str


class Worker:
    """One worker's agents and what they share."""

    def __init__(self, settings: Settings, meaning: Definitions, secrets: Sequence[bytes]) -> None:
        self.settings = settings
        self.compiled = CompiledDefinitions(meaning)
        options = {"bootstrap.servers": settings.brokers, **settings.kafka_options.for_librdkafka()}
        self.erasures = SuppressionFeed(
            SuppressionList([*settings.retired, *secrets]), settings.topic(topology.ERASURES), options
        )
        self.hearing = asyncio.Lock()
        self.normaliser = Normaliser(meaning, secrets, self.erasures.marks)
        self.app = make_app(settings)
        self.app.heartbeats = Heartbeats()
        self.app.queues = {}
        probe = (settings.topic(topology.ERASURES), 0)
        self.app.brokers = Brokers(settings.streams_id, options, probe)
        #: The processor that works on a topic, and the tables that are kept.
        self._processors: dict[str, str] = {}
        self._tables: dict[str, RowTable] = {}
        self.lease = Lease(settings.session_seconds)
        self.clock = WallClock()
        self.producer = AcknowledgedProducer(options)
        self.fence = WriterFence()
        #: The generation of the group in which the state was last found to be of these definitions.
        self._of_these_definitions: int | None = None
        #: The generation of the group in which it was done, by changelog.
        self._looked_for_overwritten: dict[TP, int] = {}

        self.watchdog = Watchdog(
            self.app.heartbeats,
            lambda: worker_status.report(self.app, self.app.reader, self._processors),
            Brokers(settings.streams_id, options, probe),
        )
        metrics.MARKS_AGE.set_function(lambda: self.erasures.age_seconds)

        self.app.timer(LEASE_CHECK_SECONDS, name="check_lease")(self.check_lease)
        self.app.timer(SIZE_SECONDS, name="measure_state")(self.measure_state)
        self._agent("normalise_events", topology.INPUTS, self.normalise_events)
        for topic in topology.UPDATES:
            self._fold(topic, processors.PROCESSORS[topic.name])

    async def check_lease(self) -> None:
        """Stop the worker if it has stood still for too long, or is about to."""
        try:
            self.lease.check()
            self.clock.check()
        except FencedError as error:
            await self.app.crash(error)

    async def measure_state(self) -> None:
        """Note how much the tables hold."""
        for name, table in self._tables.items():
            size = table.size()
            metrics.STATE_ROWS.labels(name).set(size.rows)
            metrics.STATE_BYTES.labels(name).set(size.bytes)

    def _check_definitions(self) -> None:
        """Raise StateError if any state that this worker has was made under others.

        All of it, before anything is made of any message: what is sent under other definitions is joined by whoever comes next, and
        a partition without state yet would take theirs.
        """
        generation = self.app.consumer_generation_id
        if self._of_these_definitions != generation:
            for name, table in self._tables.items():
                for rows in table.held():
                    processors.interrupted_batch_end(self.compiled, rows, name)
            self._of_these_definitions = generation

    async def normalise_events(self, batch: Batch, _: Message) -> bool:
        """Events to updates: stateless, so the input topics may be keyed and partitioned as their producers like."""
        await self._hear_of_erasures()
        received = [(batch.tp.partition, r.offset, r.timestamp, r.value) for r in batch.records]
        source = topology.source_of(batch.tp.topic)
        messages = processors.normalise_events(self.compiled, self.normaliser, batch.tp.topic, source, received)
        await self._send(messages)
        return True

    async def _hear_of_erasures(self) -> None:
        """Wait until it is known who was erased. Raises KafkaException when the brokers do not say so for long."""
        async with self.hearing:
            end = perf_counter() + ERASURES_WITHIN_SECONDS
            while not self.erasures.is_fresh:
                try:
                    await asyncio.get_running_loop().run_in_executor(None, self.erasures.refresh)
                except KafkaException as error:
                    if perf_counter() > end:
                        raise
                    log.warning("erasures_unknown", error=error.args[0].str())
                    await asyncio.sleep(RETRY_SECONDS)

    def _fold(self, topic: topology.Topic, processor: Processor) -> None:
        """Declare a table and the agent that folds a topic into it, both named as the processor is."""
        name, partitions = processor.__name__, 1 if topic.single else self.settings.partitions
        table = cast(
            "RowTable",
            self.app.Table(
                name,
                partitions=partitions,
                key_type=bytes,
                value_type=bytes,
                extra_topic_configs=topology.OWN_TOPICS,
            ),
        )
        self._tables[name] = table
        held: dict[TP, tuple[int | None, list[Delivered]]] = {}

        async def fold(batch: Batch, message: Message) -> bool:
            tp = batch.tp
            rows = table.partition(tp.partition)
            generation, delivered = held.pop(tp, (message.generation_id, []))
            if generation != message.generation_id:
                delivered = []
            delivered += [(record.offset, record.value) for record in batch.records]
            end = processors.interrupted_batch_end(self.compiled, rows, name)
            again = [one for one in delivered if one[0] <= end]
            if again and delivered[-1][0] < end:
                held[tp] = (message.generation_id, delivered)
                return False
            for part in (again, *processors.split_at_orders(delivered[len(again) :])):
                if part:
                    await self._apply(table, tp, processor(self.compiled, rows, scope_of(tp), part))
            return True

        self._agent(name, (topic,), fold)

    async def _apply(self, table: RowTable, tp: TP, outcome: Outcome) -> None:
        """Make the parts of an outcome durable, in their order."""
        if outcome.messages:
            await self._write(table, tp, outcome.intent, outcome.end)
            await self._send(outcome.messages)
            self._step(tp)
        if outcome.changes:
            await self._write(table, tp, outcome.changes, outcome.end)

    async def _write(self, table: RowTable, tp: TP, changes: Sequence[Change], version: int) -> None:
        """Write to the changelog, and when the brokers have it, to the local rows."""
        self.lease.check()
        changelog, rows = table.changelog(tp.partition), table.partition(tp.partition)
        overwritten = self._overwritten(changelog, rows)
        headers = header(version)
        # What a batch before it did not wait for, as it was cancelled.
        self.producer.written(changelog.topic, changelog.partition)
        for key, value in [*((key, rows.get(key)) for key in overwritten), *changes]:
            await self.producer.send(changelog.topic, key, value, changelog.partition, headers)
        await self.producer.acknowledged()
        written = self.producer.written(changelog.topic, changelog.partition)
        assert written is not None, "the changelog has just been acknowledged"
        # A changelog that was made after the group had formed is not among them: it was empty.
        recovered_to = cast("TableManager", self.app.tables).recovery.active_highwaters.get(changelog, -1)
        self.fence.follow(changelog.topic, changelog.partition, recovered_to, written)
        rows.write(changes, written.last, version)
        if overwritten:
            rows.forget_overwritten(overwritten)
        self._step(tp)

    def _overwritten(self, changelog: TP, rows: PartitionRows) -> list[bytes]:
        """The keys to write again before anything else, once after each recovery."""
        generation = self.app.consumer_generation_id
        if self._looked_for_overwritten.get(changelog) == generation:
            return []
        self._looked_for_overwritten[changelog] = generation
        return rows.overwritten()

    def _step(self, tp: TP) -> None:
        """Something that follows from the partition's messages is durable."""
        if self.app.reader is not None:
            self.app.reader.steps[tp] += 1

    async def _send(self, messages: Sequence[Outgoing]) -> None:
        if messages:
            self.lease.check()
            for message in messages:
                await self.producer.send(self.settings.topic(message.topic), message.key, message.value)
            await self.producer.acknowledged()
            for message in messages:
                if message.topic == topology.DEAD_LETTERS and message.value is not None:
                    metrics.DEAD_LETTERS.labels(msgspec.json.decode(message.value, type=_Letter).reason).inc()

    def _agent(self, name: str, topics: Sequence[topology.Topic], work: Work) -> None:
        """Declare an agent that does `work` batch by batch, and stops the worker if it cannot.

        `work` says whether it has finished the batch; it may keep one until those that belong to it have come.
        """
        names = [self.settings.topic(topic.name) for topic in topics]
        self._processors |= dict.fromkeys(names, name)

        async def agent(stream: Any) -> AsyncIterator[None]:
            event: EventT[Any]
            kept: dict[TP, list[tuple[Batch, Message]]] = defaultdict(list)
            self.app.queues[name] = stream.channel.queue
            async for event in stream.noack().events():
                began = perf_counter()
                batch, message = cast("Batch", event.value), event.message
                consumer = cast("BatchConsumer", self.app.consumer)
                if not consumer.take(batch, message):
                    event.ack()
                    continue
                kept[batch.tp].append((batch, message))
                try:
                    self._check_definitions()
                    if await work(batch, message):
                        for finished in kept.pop(batch.tp):
                            consumer.done(*finished)
                            metrics.MESSAGES_READ.labels(name, batch.tp.topic).inc(len(finished[0].records))
                        consumer.steps[batch.tp] += 1
                except asyncio.CancelledError:
                    raise
                except Exception as error:
                    log.exception(
                        "batch_failed",
                        agent=name,
                        topic=batch.tp.topic,
                        partition=batch.tp.partition,
                        first_offset=batch.start,
                        next_offset=batch.end,
                        seconds=round(perf_counter() - began, 4),
                        error=str(error),
                    )
                    await self.app.crash(error)
                    raise
                finally:
                    event.ack()
                seconds = perf_counter() - began
                metrics.BATCHES.labels(name).observe(seconds)
                log.debug(
                    "batch",
                    agent=name,
                    topic=batch.tp.topic,
                    partition=batch.tp.partition,
                    first_offset=batch.start,
                    next_offset=batch.end,
                    records=len(batch.records),
                    seconds=round(seconds, 4),
                )
                yield

        agent.__name__ = agent.__qualname__ = name
        channel = self.app.topic(*names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        self.app.agent(channel, name=name)(agent)


def scope_of(tp: TP) -> str:
    """The name of a partition's share of the rolling counts."""
    return f"{tp.topic}/{tp.partition}"


def run_worker(settings: Settings, show: Callable[[Watchdog], object] | None = None) -> None:
    """Run one worker until it is told to stop (SIGTERM, SIGINT) or fails, which raises what it failed of.

    `show`: what is to show its watchdog's findings; called before it starts. One that is stuck ends at once, with the code
    `watchdog.EXIT_STUCK`. Raises ConfigurationError.
    """
    settings.streams_dir.mkdir(parents=True, exist_ok=True)
    worker = Worker(settings, definitions.load(settings.config), hmac_secrets(settings))
    REGISTRY.register(metrics.WORKER)
    REGISTRY.register(metrics.READER)
    if show is not None:
        show(worker.watchdog)
    worker.watchdog.start()
    # The heap holds many small objects that live for one batch: Python's default thresholds would walk all the others,
    # which live for ever, after every 700 of them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    log.info("worker_starts", brokers=settings.brokers, app_id=settings.streams_id, partitions=settings.partitions)
    Process(worker.app, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()

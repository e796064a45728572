"""The worker: its topology, and the process that runs it. `streams.topology` draws the dataflow."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final

import structlog
from confluent_kafka import KafkaException
from faust.types import Message
from prometheus_client import REGISTRY

from schemas import metrics
from schemas.config import definitions
from schemas.config.definitions import Definitions
from schemas.config.loading import hmac_secrets
from schemas.config.settings import Settings
from schemas.errors import FencedError
from streams import processors, topology
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.normalise.normaliser import Normaliser
from streams.normalise.suppression_list import SuppressionList
from streams.runtime import worker_report
from streams.runtime.agents import Agents
from streams.runtime.batch import Batch
from streams.runtime.brokers import Brokers
from streams.runtime.commit_order import CommitOrder
from streams.runtime.faust_app import Process, make_app
from streams.runtime.lease import Lease, WallClock
from streams.runtime.producer import AcknowledgedProducer
from streams.runtime.suppression_feed import RETRY_SECONDS, SuppressionFeed
from streams.runtime.watchdog import Watchdog

log = structlog.get_logger("firstcall.streams")

LEASE_CHECK_SECONDS: Final = 1.0
STATE_SIZE_SECONDS: Final = 10.0
#: The worker stops if the brokers do not give it the suppression list for so long. Without the list it processes no event.
SUPPRESSION_LIST_WITHIN_SECONDS: Final = 60.0


class Worker:
    """One worker: tables and agents in the order of the dataflow, and what they share."""

    def __init__(self, settings: Settings, meaning: Definitions, secrets: Sequence[bytes]) -> None:
        options = {"bootstrap.servers": settings.brokers, **settings.kafka_options.for_librdkafka()}
        probe = (settings.topic(topology.ERASURES), 0)
        suppression_list = SuppressionList([*settings.retired, *secrets])
        self.suppression_feed = SuppressionFeed(suppression_list, settings.topic(topology.ERASURES), options)
        self.refreshing = asyncio.Lock()
        self.normaliser = Normaliser(meaning, secrets, suppression_list)
        self.compiled = CompiledDefinitions(meaning)
        self.app = make_app(settings)
        self.app.brokers = Brokers(settings.streams_id, options, probe)
        self.lease = Lease(settings.session_seconds)
        self.clock = WallClock()
        self.commit_order = CommitOrder(self.app, AcknowledgedProducer(options), self.lease, settings.topic)
        self.agents = Agents(self.app, settings, self.compiled, self.commit_order)

        self.agents.declare("normalise_events", topology.INPUTS, self.normalise_events)
        for topic in topology.UPDATES:
            self.agents.fold(topic, processors.PROCESSORS[topic.name])

        self.app.timer(LEASE_CHECK_SECONDS, name="check_lease")(self.check_lease)
        self.app.timer(STATE_SIZE_SECONDS, name="measure_state")(self.measure_state)
        metrics.SUPPRESSION_LIST_AGE.set_function(lambda: self.suppression_feed.age_seconds)
        self.watchdog = Watchdog(
            self.app.heartbeats,
            lambda: worker_report.report(self.app, self.app.reader, self.agents.processors),
            Brokers(settings.streams_id, options, probe),
        )

    async def normalise_events(self, batch: Batch, _: Message) -> bool:
        """Turn events into updates. Stateless, so producers may key and partition the input topics as they like."""
        await self._await_suppression_list()
        received = [(batch.tp.partition, r.offset, r.timestamp, r.value) for r in batch.records]
        source = topology.source_of(batch.tp.topic)
        messages = processors.normalise_events(self.compiled, self.normaliser, batch.tp.topic, source, received)
        await self.commit_order.send_messages(messages)
        for (field, reason), number in self.normaliser.ignored.items():
            metrics.IGNORED_VALUES.labels(field, reason).inc(number)
        self.normaliser.ignored.clear()
        return True

    async def check_lease(self) -> None:
        """Stop the worker if it was suspended for too long, or the wall clock was set back."""
        try:
            self.lease.check()
            self.clock.check()
        except FencedError as error:
            await self.app.crash(error)

    async def measure_state(self) -> None:
        for name, table in self.agents.tables.items():
            size = table.store.size()
            metrics.STATE_ROWS.labels(name).set(size.rows)
            metrics.STATE_BYTES.labels(name).set(size.bytes)

    async def _await_suppression_list(self) -> None:
        """Wait for a fresh suppression list. Raises KafkaException when the brokers do not give it in time."""
        async with self.refreshing:
            end = perf_counter() + SUPPRESSION_LIST_WITHIN_SECONDS
            while not self.suppression_feed.is_fresh:
                try:
                    await asyncio.get_running_loop().run_in_executor(None, self.suppression_feed.refresh)
                except KafkaException as error:
                    if perf_counter() > end:
                        raise
                    log.warning("suppression_list_unavailable", error=error.args[0].str())
                    await asyncio.sleep(RETRY_SECONDS)


def run_worker(settings: Settings, show: Callable[[Watchdog], object] | None = None) -> None:
    """Run one worker until SIGTERM or SIGINT, or until it fails, which raises the error.

    `show` is called with the watchdog before the worker starts. A stuck worker ends at once with the exit code
    `watchdog.EXIT_STUCK`. Raises ConfigurationError.
    """
    settings.streams_dir.mkdir(parents=True, exist_ok=True)
    worker = Worker(settings, definitions.load(settings.config), hmac_secrets(settings))
    REGISTRY.register(metrics.WORKER)
    REGISTRY.register(metrics.READER)
    if show is not None:
        show(worker.watchdog)
    worker.watchdog.start()
    # The heap holds many small objects that live for one batch. Python's default thresholds would walk all long-lived
    # objects after every 700 of them.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    log.info("worker_started", brokers=settings.brokers, app_id=settings.streams_id, partitions=settings.partitions)
    Process(worker.app, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()

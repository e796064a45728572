"""The sink process: its parts, its signals, and its shutdown."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import structlog
from confluent_kafka import Consumer
from prometheus_client import REGISTRY

from schemas import metrics
from schemas.errors import FencedError
from sinks.clickhouse import Address
from sinks.consumer import BatchLimits, SinkConsumer
from sinks.gaps import GapDetector
from sinks.insert import RowInserter
from sinks.message_rows import RowCollector
from sinks.reconcile import Reconciler
from streams import topology
from streams.normalise.normaliser import Normaliser
from streams.normalise.suppression_list import SuppressionList
from streams.runtime.brokers import Brokers
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.lease import WallClock
from streams.runtime.shutdown import end_in_time
from streams.runtime.suppression_feed import SuppressionFeed
from streams.runtime.watchdog import Watchdog

#: How often the wall clock is checked.
CLOCK_CHECK_SECONDS: Final = 1.0

log = structlog.get_logger("firstcall.sink")


def run_sink(
    *,
    bootstrap_servers: str,
    clickhouse_url: str,
    normaliser: Normaliser,
    app_id: str = "firstcall",
    topic_name: Callable[[str], str] = str,
    kafka_options: Mapping[str, Any] | None = None,
    batch_rows: int = 50_000,
    batch_bytes: int = 64_000_000,
    batch_seconds: float = 0.5,
    session_seconds: float = 12,
    stop: threading.Event | None = None,
    suppression_list: SuppressionList | None = None,
    show: Callable[[Watchdog], object] | None = None,
) -> None:
    """Deliver until SIGTERM or SIGINT, or until `stop` is set; the signals are handled in the main thread only.

    `topic_name`: the name in Kafka of a topic of `streams.topology`. A batch ends with the first of `batch_rows`,
    `batch_bytes` and `batch_seconds`. After `session_seconds` another sink reads the partitions of a killed one. `kafka_options`:
    more properties for librdkafka, such as authentication. `suppression_list`: the one of the normaliser, which is kept up to
    date. `show` is called with the watchdog before it starts; without `show` there is no watchdog, with it a stuck sink ends the
    process. Waits for ClickHouse and its tables. Raises ValueError for an invalid URL, KafkaException when the consumer cannot be
    created or fails, DeploymentError when Kafka has deleted messages that were not read.
    """
    stop = stop or threading.Event()
    address = Address.parse(clickhouse_url)
    inserter = RowInserter(address)
    collector = RowCollector(inserter, normaliser, topic_name=topic_name)
    options = dict(kafka_options or {})
    session = {"session.timeout.ms": int(session_seconds * 1000)}
    group = f"{app_id}-sink"
    consumer = _make_consumer(bootstrap_servers, group, session | options)
    feed = None
    if suppression_list is not None:
        feed = SuppressionFeed(
            suppression_list, topic_name(topology.ERASURES), {"bootstrap.servers": bootstrap_servers, **options}
        )
    limits = BatchLimits(batch_rows, batch_bytes, batch_seconds)
    with _stopping(stop):
        log.info("sink_started", kafka=bootstrap_servers, clickhouse=str(address), group=group)
        try:
            reconciler, heartbeats = Reconciler(address, stop), Heartbeats()
            gaps = GapDetector(consumer, group, collector.aging_topics)
            sink = SinkConsumer(consumer, collector, inserter, gaps, limits, stop, feed, heartbeats)
            reconciler.start()
            threading.Thread(target=_watch_clock, args=(stop,), name="watch-clock", daemon=True).start()
            if feed is not None:
                metrics.SUPPRESSION_LIST_AGE.set_function(lambda: feed.age_seconds)
            if show is not None:
                REGISTRY.register(metrics.SINK)
                REGISTRY.register(metrics.READER)
                heartbeats.watch(reconciler.thread)
                probe = (topic_name(topology.ERASURES), 0)
                brokers = Brokers(group, {"bootstrap.servers": bootstrap_servers, **options}, probe)
                watchdog = Watchdog(heartbeats, sink.report, brokers, stop)
                show(watchdog)
                watchdog.start()
            sink.run()
        finally:
            inserter.close()
            if feed is not None:
                feed.close()
        log.info("sink_stopped")


def _watch_clock(stop: threading.Event) -> None:
    """End the process when the wall clock is set back: the consumer would wait. What it has not committed is read again."""
    clock = WallClock()
    while not stop.wait(CLOCK_CHECK_SECONDS):
        try:
            clock.check()
        except FencedError as error:
            log.critical("sink_fenced", error=str(error))
            os._exit(1)


def _make_consumer(bootstrap_servers: str, group: str, options: dict[str, Any]) -> Consumer:
    """A consumer of the sink's group. `options`: more properties for librdkafka. Raises KafkaException."""
    properties = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": group,
        "client.id": group,
        # `GapDetector` finds what was skipped, and where a log ends.
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
        # As the workers read: otherwise an event could be in rows and in no number, or the reverse.
        "isolation.level": "read_uncommitted",
        # A member that comes or goes moves only the partitions that change hands.
        "partition.assignment.strategy": "cooperative-sticky",
        # Finds topics that are created after the start.
        "topic.metadata.refresh.interval.ms": 10_000,
        # By default librdkafka waits for a second when its buffer is full; the sink empties it faster.
        "fetch.queue.backoff.ms": 20,
        "queued.max.messages.kbytes": 65_536,
    }
    return Consumer(properties | options, logger=logging.getLogger("librdkafka"))


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Set `stop` on SIGTERM and SIGINT. ClickHouse may hang then: rows that it does not accept in time are read again."""

    def on_signal(*_: object) -> None:
        # First: `set` would deadlock where the signal interrupts `wait`, which holds the same lock.
        end_in_time()
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

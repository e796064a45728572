"""The sink as a process: what it is made of, its signals, and its end."""

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

#: How often the wall clock is looked at.
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
    erasures: SuppressionList | None = None,
    show: Callable[[Watchdog], object] | None = None,
) -> None:
    """Deliver until SIGTERM or SIGINT, or until `stop` is set; the signals are handled in the main thread only.

    `topic_name`: the name in Kafka of a topic of `streams.topology`. A batch ends with the first of `batch_rows`,
    `batch_bytes` and `batch_seconds`. A killed sink's partitions are read again after `session_seconds`. `kafka_options`: more properties for librdkafka, such as authentication. `erasures`:
    the marks that the normaliser goes by, to be kept up to date from their topic. `show`: what is to show the findings of its
    watchdog, called before it starts; without it there is none, with it a sink that is stuck ends the process. Waits for
    ClickHouse, and for its tables. Raises ValueError for a URL that is none, KafkaException when the consumer cannot be made or
    fails for good, DeploymentError when Kafka has deleted what was not read.
    """
    stop = stop or threading.Event()
    address = Address.parse(clickhouse_url)
    writer = RowInserter(address)
    sink = RowCollector(writer, normaliser, topic_name=topic_name)
    options = dict(kafka_options or {})
    session = {"session.timeout.ms": int(session_seconds * 1000)}
    group = f"{app_id}-sink"
    consumer = _make_consumer(bootstrap_servers, group, session | options)
    feed = None
    if erasures is not None:
        feed = SuppressionFeed(
            erasures, topic_name(topology.ERASURES), {"bootstrap.servers": bootstrap_servers, **options}
        )
    limits = BatchLimits(batch_rows, batch_bytes, batch_seconds)
    with _stopping(stop):
        log.info("sink_started", kafka=bootstrap_servers, clickhouse=str(address), group=group)
        try:
            settling, heartbeats = Reconciler(address, stop), Heartbeats()
            continuity = GapDetector(consumer, group, sink.aging_topics)
            delivery = SinkConsumer(consumer, sink, writer, continuity, limits, stop, feed, heartbeats)
            settling.start()
            threading.Thread(target=_watch_clock, args=(stop,), name="watch-clock", daemon=True).start()
            if feed is not None:
                metrics.SUPPRESSION_LIST_AGE.set_function(lambda: feed.age_seconds)
            if show is not None:
                REGISTRY.register(metrics.SINK)
                REGISTRY.register(metrics.READER)
                heartbeats.watch(settling.thread)
                probe = (topic_name(topology.ERASURES), 0)
                brokers = Brokers(group, {"bootstrap.servers": bootstrap_servers, **options}, probe)
                watchdog = Watchdog(heartbeats, delivery.report, brokers, stop)
                show(watchdog)
                watchdog.start()
            delivery.run()
        finally:
            writer.close()
            if feed is not None:
                feed.close()
        log.info("sink_stopped")


def _watch_clock(stop: threading.Event) -> None:
    """End the process when the wall clock is set back: the consumer would stand still. What it has not committed is read again."""
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
        # `GapDetector` notes what is leapt over, and where a log ends.
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
        # As the workers read: an event that only one of the two knew would be in rows and in no number, or the reverse.
        "isolation.level": "read_uncommitted",
        # A member that comes or goes moves only the partitions that change hands.
        "partition.assignment.strategy": "cooperative-sticky",
        # Finds topics that are created after the start.
        "topic.metadata.refresh.interval.ms": 10_000,
        # librdkafka rests for a whole second by default when its buffer is full; the sink empties it faster.
        "fetch.queue.backoff.ms": 20,
        "queued.max.messages.kbytes": 65_536,
    }
    return Consumer(properties | options, logger=logging.getLogger("librdkafka"))


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Set `stop` on SIGTERM and SIGINT. ClickHouse may hang then: what it does not take in time is read again."""

    def told(*_: object) -> None:
        # First: `set` would wait for ever where the signal comes in the middle of `wait`, which holds the same lock.
        end_in_time()
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

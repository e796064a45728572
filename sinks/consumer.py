"""Reads the topics, writes what they hold to ClickHouse, and only then commits: each message is written at least once.

One batch is written while the next one is read. While ClickHouse is away the messages stay in Kafka: nothing is dropped,
and nobody else waits.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas import metrics
from sinks.batch import Batch
from sinks.gaps import GapDetector
from sinks.insert import RowInserter
from sinks.message_rows import RowCollector
from sinks.retrying_writer import RetryingWriter
from sinks.visible_latency import VISIBLE_LATENCY
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.suppression_feed import RETRY_SECONDS, SuppressionFeed
from streams.runtime.watchdog import Report, WorkProgress

#: Messages and time of one call that reads: bounds how long a signal waits, and what is in hand beyond a full batch: so many messages
#: of any size, or what comes in that time.
CHUNK_MESSAGES: Final = 200
IDLE_SECONDS: Final = 0.5
#: How often a full batch looks whether it is to stop.
WAIT_SECONDS: Final = 0.1
#: For so long a full batch just waits. After it the group must hear of this member again; that takes pausing, which throws
#: away what was fetched ahead.
QUIET_SECONDS: Final = 5.0

#: The main loop turns at least so often. The longest that one turn may wait is a commit that no broker answers.
LOOP_TURNS_WITHIN_SECONDS: Final = 120.0
LOOP: Final = "the delivering loop"

Positions = dict[tuple[str, int], int]

log = structlog.get_logger("firstcall.sink")


class BatchLimits(NamedTuple):
    """Whichever is reached first ends a batch. `seconds` may be exceeded while the batch before is being written."""

    rows: int
    bytes: int
    seconds: float


class _InFlight(NamedTuple):
    """A batch on its way. `positions`: the next offset by (topic, partition), to commit when `done` is true.

    `received`: when Kafka got the messages of each topic, in ms. `oldest`: the same of the first message of a partition.
    """

    done: Future[bool]
    positions: Positions
    received: dict[str, array[int]]
    oldest: dict[tuple[str, int], int]


class SinkConsumer:
    """One member of the sink's consumer group. Set `stop` to end `run`.

    `erasures`: who was erased, as the sink's normaliser knows it. `continuity`: what is read, by its consumer.
    """

    def __init__(
        self,
        consumer: Consumer,
        sink: RowCollector,
        writer: RowInserter,
        continuity: GapDetector,
        limits: BatchLimits,
        stop: threading.Event,
        erasures: SuppressionFeed | None = None,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        self._beats = heartbeats or Heartbeats()
        self._consumer = consumer
        self._erasures = erasures
        self._sink = sink
        self._continuity = continuity
        self._limits = limits
        self._stop = stop
        self._scribe = RetryingWriter(writer, sink.definitions, stop)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="write-rows")
        #: Read, and not collected: a message of a few kilobytes may hold rows of a hundred megabytes.
        self._read: deque[Message] = deque()
        #: Of the messages collected for the next batch. They count as well as their rows: not every message has one.
        self._collected = 0
        self._positions: Positions = {}
        self._received: dict[str, array[int]] = {}
        self._oldest: dict[tuple[str, int], int] = {}
        #: The partitions of this member; None before it is first told. And how much it has read, and written.
        self._held: set[tuple[str, int]] | None = None
        self._steps = 0
        self._flight: _InFlight | None = None
        self._is_paused = False
        #: Of rows that are written.
        self._uncommitted: Positions = {}

    def run(self) -> None:
        """Deliver until `stop` is set. What was read by then is written and committed, if ClickHouse takes it.

        Raises DeploymentError when Kafka has deleted what was not read, KafkaException when the consumer fails for good.
        """
        self._consumer.subscribe(
            self._sink.topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )
        # Without messages too, the views are to find the configuration. What fails here fails again with the first batch.
        self._thread.submit(self._scribe.write, Batch())
        try:
            self._beats.expect(LOOP, LOOP_TURNS_WITHIN_SECONDS)
            while not self._stop.is_set():
                self._beats.beat(LOOP)
                self._gather()
                self._await_certainty()
                # Rows whose partitions went to others are written too, or a full batch of them would never have room again.
                if self._has_some():
                    self._await_flight()
                    self._launch()
                elif self._flight is None:
                    # What a rebalance refused: no batch may come for hours that would take it along.
                    self._commit()
                elif self._flight.done.done():
                    self._land()
            self._land()
            self._launch()
            self._land()
        finally:
            # After an error too: the thread must not go on waiting for ClickHouse.
            self._stop.set()
            self._thread.shutdown()
            self._consumer.close()

    def report(self) -> Report:
        """Where it stands, for its watchdog, which asks from another thread."""
        if self._held is None:
            return Report("joining", 0, {})
        flight, hand = self._flight, self._oldest.copy()
        oldest = {**hand, **(flight.oldest if flight is not None else {})}
        standings = {place: WorkProgress("write_rows", self._steps, oldest.get(place)) for place in self._held.copy()}
        return Report("running", 0, standings, self._scribe.waiting)

    def _gather(self) -> None:
        """Collect messages until the batch is full, or old enough; nothing if none comes for a while."""
        self._collect()
        if not self._positions:
            self._take(self._consumer.consume(1, IDLE_SECONDS))
        end = time.monotonic() + self._limits.seconds
        while self._positions and not self._stop.is_set():
            if not self._has_room():
                return
            room = self._limits.rows - max(self._sink.waiting_rows, self._collected)
            left = end - time.monotonic()
            if left <= 0:
                if self._flight is None or self._flight.done.done():
                    return
                left = WAIT_SECONDS
            self._take(self._consumer.consume(min(room, CHUNK_MESSAGES), min(left, IDLE_SECONDS)))

    def _take(self, messages: list[Message]) -> None:
        self._read.extend(messages)
        self._collect()

    def _collect(self) -> None:
        """Collect what was read, as far as the batch has room."""
        if self._read and not self._hear_of_erasures():
            return
        add, positions = self._sink.add, self._positions
        self._steps += bool(self._read)
        while self._read and self._has_room():
            message = self._read.popleft()
            error = message.error()
            # Only an error lacks any of these.
            topic: Any = message.topic()
            partition: Any = message.partition()
            offset: Any = message.offset()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - public, but for its name
                    _report(error)
                elif self._continuity.end((topic, partition), offset):
                    # Of a log that ends in transaction markers all is done when they are behind too: nothing else may ever follow.
                    positions[topic, partition] = offset
                continue
            timestamp = message.timestamp()[1]
            add(topic, message.value(), timestamp, partition, offset)
            self._collected += 1
            self._continuity.read((topic, partition), offset)
            positions[topic, partition] = offset + 1
            self._received.setdefault(topic, array("q")).append(timestamp)
            self._oldest.setdefault((topic, partition), timestamp)

    def _has_room(self) -> bool:
        fullest = max(self._sink.waiting_rows, self._collected)
        return fullest < self._limits.rows and self._sink.waiting_bytes < self._limits.bytes

    def _hear_of_erasures(self) -> bool:
        """Wait until it is known who was erased. False if `stop` was set before."""
        while self._erasures is not None and not self._erasures.is_fresh:
            if self._stop.is_set():
                return False
            self._beats.beat(LOOP)
            try:
                self._erasures.refresh()
            except KafkaException as error:
                log.warning("suppression_list_unavailable", error=error.args[0].str())
                self._stop.wait(RETRY_SECONDS)
        return True

    def _has_some(self) -> bool:
        """Whether anything is collected, also of partitions that are gone, or messages without rows."""
        return bool(self._positions or self._sink.waiting_rows or self._collected)

    def _launch(self) -> None:
        """Let what is collected be written. Not while the batch before it is not written: its offsets come first."""
        if self._flight is None and self._has_some() and self._continuity.is_whole():
            done = self._thread.submit(self._scribe.write, self._sink.take())
            self._flight = _InFlight(done, self._positions, self._received, self._oldest)
            self._positions, self._received, self._oldest, self._collected = {}, {}, {}, 0

    def _await_flight(self) -> None:
        """Wait until the batch before is written, however long ClickHouse is away, as a member of the group."""
        if self._flight is None:
            return
        quiet_until = time.monotonic() + QUIET_SECONDS
        while not self._stop.is_set() and not wait([self._flight.done], WAIT_SECONDS).done:
            self._beats.beat(LOOP)
            if time.monotonic() >= quiet_until:
                self._stay()
        self._go_on()
        if self._flight.done.done():
            self._land()

    def _await_certainty(self) -> None:
        """Wait until the brokers say that nothing is missing in what was read, as a member of the group."""
        while not self._stop.is_set() and not self._continuity.is_whole():
            self._beats.beat(LOOP)
            if self._flight is not None and self._flight.done.done():
                self._land()
            self._stay()
            self._stop.wait(RETRY_SECONDS)
        self._go_on()

    def _stay(self) -> None:
        """Let the group hear of this member, which reads no more for now."""
        self._consumer.pause(self._consumer.assignment())
        self._is_paused = True
        message = self._consumer.poll(0)
        if message is not None:
            # Of a partition that was assigned in the meantime. It joins the batch.
            self._take([message])

    def _go_on(self) -> None:
        """Read again what `_stay` has paused."""
        if self._is_paused:
            self._consumer.resume(self._consumer.assignment())
            self._is_paused = False

    def _land(self) -> None:
        """Commit the batch that is being written, once it is; it stays if it was given up."""
        if self._flight is not None and self._flight.done.result():
            now_ms = int(time.time() * 1000)
            for topic, timestamps in self._flight.received.items():
                VISIBLE_LATENCY.observe(topic, timestamps, now_ms)
            self._steps += 1
            self._uncommitted |= self._flight.positions
            self._flight = None
            self._commit()

    def _commit(self) -> None:
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._uncommitted.items()]
        if not offsets:
            return
        try:
            told = self._consumer.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as error:
            log.warning("offsets_not_committed", error=error.args[0].str())
            return
        refused = {(each.topic, each.partition): each.error for each in told if each.error is not None}
        if refused:
            errors = {f"{topic}/{partition}": error.str() for (topic, partition), error in refused.items()}
            log.warning("offsets_not_committed", errors=errors)
        done = {place: offset for place, offset in self._uncommitted.items() if place not in refused}
        log.debug(
            "offsets_committed", offsets={f"{topic}/{partition}": end for (topic, partition), end in done.items()}
        )
        self._uncommitted = {place: offset for place, offset in self._uncommitted.items() if place in refused}

    def _assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        log.info("partitions_assigned", partitions=_shown(partitions))
        metrics.REBALANCES.inc()
        places = {(partition.topic, partition.partition) for partition in partitions}
        self._held = (self._held or set()) | places

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Leave partitions to their next owner, who reads again what is not committed. Their rows here are written too."""
        log.info("partitions_revoked", partitions=_shown(partitions))
        if self._is_paused:
            # librdkafka would remember it, and not read them when they come back.
            consumer.resume(partitions)
        gone = {(partition.topic, partition.partition) for partition in partitions}
        self._read = deque(message for message in self._read if (message.topic(), message.partition()) not in gone)
        for partition in partitions:
            place = (partition.topic, partition.partition)
            self._held = (self._held or set()) - {place}
            self._oldest.pop(place, None)
            self._continuity.leave(place)
            for positions in (self._positions, self._flight.positions if self._flight else {}, self._uncommitted):
                positions.pop(place, None)


def _report(error: KafkaError) -> None:
    if error.fatal():
        raise KafkaException(error)
    log.warning("kafka_error", error=error.str())


def _shown(partitions: list[TopicPartition]) -> list[str]:
    return [f"{partition.topic}/{partition.partition}" for partition in partitions]

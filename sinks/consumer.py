"""One member of the sink's consumer group: fetch, write, commit.

Every message is written at least once: its offset is committed after ClickHouse has accepted its rows. While ClickHouse is
unavailable the messages stay in Kafka: nothing is dropped, and no other process waits.
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
from streams.runtime.brokers import Partition
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.suppression_feed import RETRY_SECONDS, SuppressionFeed
from streams.runtime.watchdog import Report, WorkProgress

#: Messages and time of one call that fetches. They bound how long a signal waits, and what is in memory beyond a full batch.
CHUNK_MESSAGES: Final = 200
IDLE_SECONDS: Final = 0.5
#: How often a full batch checks whether the consumer is to stop.
WAIT_SECONDS: Final = 0.1
#: A full batch only waits for so long. Then the group needs a poll of this member, so it pauses its partitions, which drops
#: what was fetched ahead.
UNPOLLED_SECONDS: Final = 5.0

#: The main loop turns at least so often. The longest wait of one turn is a commit that no broker answers.
LOOP_TURNS_WITHIN_SECONDS: Final = 120.0
LOOP: Final = "the consuming loop"

Offsets = dict[Partition, int]

log = structlog.get_logger("firstcall.sink")


class BatchLimits(NamedTuple):
    """The first limit that is reached ends a batch. `seconds` may be exceeded while the batch before is being written."""

    rows: int
    bytes: int
    seconds: float


class _InFlight(NamedTuple):
    """A batch that is being written. `offsets`: the next ones, to commit when `is_written` is true.

    `received`: when Kafka received the messages of each topic, in ms. `oldest`: the same of the first message of a partition.
    """

    is_written: Future[bool]
    offsets: Offsets
    received: dict[str, array[int]]
    oldest: dict[Partition, int]


class SinkConsumer:
    """Delivers messages to ClickHouse in three steps. Set `stop` to end `run`.

    1. `_fetch`: messages are fetched and turned into rows, until the batch reaches a limit.
    2. `_submit`: another thread writes the batch, and retries as long as ClickHouse is unavailable. Meanwhile the next batch is
       fetched, but it is submitted only after this one is written: offsets are committed in order. No batch is submitted before
       the brokers confirm that Kafka has deleted none of its messages.
    3. `_complete`: the offsets of a written batch are committed. A crash before this step writes the same rows again, which
       changes nothing: each row replaces its equal.

    `suppression_feed` keeps the collector's suppression list up to date; None: there is none.
    """

    def __init__(
        self,
        consumer: Consumer,
        collector: RowCollector,
        inserter: RowInserter,
        gaps: GapDetector,
        limits: BatchLimits,
        stop: threading.Event,
        suppression_feed: SuppressionFeed | None = None,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        self._heartbeats = heartbeats or Heartbeats()
        self._consumer = consumer
        self._suppression_feed = suppression_feed
        self._collector = collector
        self._gaps = gaps
        self._limits = limits
        self._stop = stop
        self._writer = RetryingWriter(inserter, collector.normaliser.definitions, stop)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="write-rows")
        #: Fetched and not collected: a message of a few kilobytes may hold rows of a hundred megabytes.
        self._fetched: deque[Message] = deque()
        # The next batch. Messages count beside rows: not every message has one.
        self._messages = 0
        self._offsets: Offsets = {}
        self._received: dict[str, array[int]] = {}
        self._oldest: dict[Partition, int] = {}
        #: The partitions of this member; None before the first assignment.
        self._assigned: set[Partition] | None = None
        #: Changes whenever messages are collected or a batch is written.
        self._steps = 0
        self._in_flight: _InFlight | None = None
        self._is_paused = False
        #: Offsets of rows that are written.
        self._uncommitted: Offsets = {}

    def run(self) -> None:
        """Deliver until `stop` is set. What was fetched by then is written and committed, if ClickHouse accepts it.

        Raises DeploymentError when Kafka has deleted messages that were not fetched, KafkaException when the consumer fails.
        """
        self._consumer.subscribe(
            self._collector.topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )
        # The views need the configuration, also without messages. A failure here is repeated by the first batch.
        self._thread.submit(self._writer.write, Batch())
        try:
            self._heartbeats.expect(LOOP, LOOP_TURNS_WITHIN_SECONDS)
            while not self._stop.is_set():
                self._heartbeats.beat(LOOP)
                self._fetch()
                self._await_no_gap()
                # Rows whose partitions were revoked are written too, or a full batch of them would never have room again.
                if self._has_batch():
                    self._await_written()
                    self._submit()
                elif self._in_flight is None:
                    # Offsets that a rebalance refused: the next batch may come hours later.
                    self._commit()
                elif self._in_flight.is_written.done():
                    self._complete()
            self._complete()
            self._submit()
            self._complete()
        finally:
            # After an error too: the thread must not go on waiting for ClickHouse.
            self._stop.set()
            self._thread.shutdown()
            self._consumer.close()

    def report(self) -> Report:
        """The progress, for the watchdog, which calls it from its own thread."""
        if self._assigned is None:
            return Report("joining", 0, {})
        in_flight, collected = self._in_flight, self._oldest.copy()
        oldest = {**collected, **(in_flight.oldest if in_flight is not None else {})}
        progress = {
            partition: WorkProgress("write_rows", self._steps, oldest.get(partition))
            for partition in self._assigned.copy()
        }
        return Report("running", 0, progress, self._writer.waiting)

    # 1. Fetch.

    def _fetch(self) -> None:
        """Collect messages until the batch is full, or old enough; none if none comes for a while."""
        self._collect()
        if not self._offsets:
            self._add(self._consumer.consume(1, IDLE_SECONDS))
        end = time.monotonic() + self._limits.seconds
        while self._offsets and not self._stop.is_set():
            if not self._has_room():
                return
            room = self._limits.rows - max(self._collector.batch.rows, self._messages)
            left = end - time.monotonic()
            if left <= 0:
                if self._in_flight is None or self._in_flight.is_written.done():
                    return
                left = WAIT_SECONDS
            self._add(self._consumer.consume(min(room, CHUNK_MESSAGES), min(left, IDLE_SECONDS)))

    def _add(self, messages: list[Message]) -> None:
        self._fetched.extend(messages)
        self._collect()

    def _collect(self) -> None:
        """Turn fetched messages into rows, as far as the batch has room."""
        if self._fetched and not self._await_suppression_list():
            return
        add, offsets = self._collector.add, self._offsets
        self._steps += bool(self._fetched)
        while self._fetched and self._has_room():
            message = self._fetched.popleft()
            error = message.error()
            # Only an error lacks any of these.
            topic: Any = message.topic()
            partition: Any = message.partition()
            offset: Any = message.offset()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - public, but for its name
                    _report(error)
                elif self._gaps.end((topic, partition), offset):
                    # The log ends in transaction markers, which no record may ever follow: commit past them too.
                    offsets[topic, partition] = offset
                continue
            timestamp = message.timestamp()[1]
            add(topic, message.value(), timestamp, partition, offset)
            self._messages += 1
            self._gaps.read((topic, partition), offset)
            offsets[topic, partition] = offset + 1
            self._received.setdefault(topic, array("q")).append(timestamp)
            self._oldest.setdefault((topic, partition), timestamp)

    def _has_room(self) -> bool:
        fullest = max(self._collector.batch.rows, self._messages)
        return fullest < self._limits.rows and self._collector.batch.bytes < self._limits.bytes

    def _has_batch(self) -> bool:
        """Whether anything is collected, also of revoked partitions, or messages without rows."""
        return bool(self._offsets or self._collector.batch.rows or self._messages)

    def _await_suppression_list(self) -> bool:
        """Wait for a fresh suppression list. False if `stop` was set before."""
        while self._suppression_feed is not None and not self._suppression_feed.is_fresh:
            if self._stop.is_set():
                return False
            self._heartbeats.beat(LOOP)
            try:
                self._suppression_feed.refresh()
            except KafkaException as error:
                log.warning("suppression_list_unavailable", error=error.args[0].str())
                self._stop.wait(RETRY_SECONDS)
        return True

    # 2. Write.

    def _await_no_gap(self) -> None:
        """Wait, as a member of the group, until the brokers confirm that no message before those collected is missing."""
        while not self._stop.is_set() and not self._gaps.is_complete():
            self._heartbeats.beat(LOOP)
            if self._in_flight is not None and self._in_flight.is_written.done():
                self._complete()
            self._keep_membership()
            self._stop.wait(RETRY_SECONDS)
        self._resume()

    def _await_written(self) -> None:
        """Wait, as a member of the group, until the batch in flight is written, however long ClickHouse is unavailable."""
        if self._in_flight is None:
            return
        unpolled_until = time.monotonic() + UNPOLLED_SECONDS
        while not self._stop.is_set() and not wait([self._in_flight.is_written], WAIT_SECONDS).done:
            self._heartbeats.beat(LOOP)
            if time.monotonic() >= unpolled_until:
                self._keep_membership()
        self._resume()
        if self._in_flight.is_written.done():
            self._complete()

    def _submit(self) -> None:
        """Submit the collected batch, unless one is in flight: its offsets come first."""
        if self._in_flight is None and self._has_batch() and self._gaps.is_complete():
            is_written = self._thread.submit(self._writer.write, self._collector.take())
            self._in_flight = _InFlight(is_written, self._offsets, self._received, self._oldest)
            self._offsets, self._received, self._oldest, self._messages = {}, {}, {}, 0

    def _keep_membership(self) -> None:
        """Poll without fetching, so that the group keeps this member."""
        self._consumer.pause(self._consumer.assignment())
        self._is_paused = True
        message = self._consumer.poll(0)
        if message is not None:
            # Of a partition that was assigned in the meantime. It joins the batch.
            self._add([message])

    def _resume(self) -> None:
        if self._is_paused:
            self._consumer.resume(self._consumer.assignment())
            self._is_paused = False

    # 3. Commit.

    def _complete(self) -> None:
        """Commit the batch in flight once it is written. It stays in flight if writing was stopped."""
        if self._in_flight is not None and self._in_flight.is_written.result():
            now_ms = int(time.time() * 1000)
            for topic, timestamps in self._in_flight.received.items():
                VISIBLE_LATENCY.observe(topic, timestamps, now_ms)
            self._steps += 1
            self._uncommitted |= self._in_flight.offsets
            self._in_flight = None
            self._commit()

    def _commit(self) -> None:
        """Commit the offsets of written rows. Those that are refused stay, and the next commit has them again."""
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._uncommitted.items()]
        if not offsets:
            return
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as error:
            log.warning("offsets_not_committed", error=error.args[0].str())
            return
        refused = {(each.topic, each.partition): each.error for each in answers if each.error is not None}
        if refused:
            errors = {f"{topic}/{partition}": error.str() for (topic, partition), error in refused.items()}
            log.warning("offsets_not_committed", errors=errors)
        committed = {
            f"{topic}/{partition}": offset
            for (topic, partition), offset in self._uncommitted.items()
            if (topic, partition) not in refused
        }
        log.debug("offsets_committed", offsets=committed)
        self._uncommitted = {each: offset for each, offset in self._uncommitted.items() if each in refused}

    # Rebalances.

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        log.info("partitions_assigned", partitions=_shown(partitions))
        metrics.REBALANCES.inc()
        self._assigned = (self._assigned or set()) | {(each.topic, each.partition) for each in partitions}

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Leave partitions to their next owner, who fetches from the committed offsets. Their rows here are written too."""
        log.info("partitions_revoked", partitions=_shown(partitions))
        if self._is_paused:
            # librdkafka would keep them paused when they come back.
            consumer.resume(partitions)
        revoked = {(each.topic, each.partition) for each in partitions}
        self._fetched = deque(each for each in self._fetched if (each.topic(), each.partition()) not in revoked)
        self._assigned = (self._assigned or set()) - revoked
        for partition in revoked:
            self._oldest.pop(partition, None)
            self._gaps.drop(partition)
            for offsets in (self._offsets, self._in_flight.offsets if self._in_flight else {}, self._uncommitted):
                offsets.pop(partition, None)


def _report(error: KafkaError) -> None:
    if error.fatal():
        raise KafkaException(error)
    log.warning("kafka_error", error=error.str())


def _shown(partitions: list[TopicPartition]) -> list[str]:
    return [f"{partition.topic}/{partition.partition}" for partition in partitions]

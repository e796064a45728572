"""Finds messages that Kafka has deleted before the sink fetched them. Its client goes on after such a gap, without an error."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from streams.runtime.brokers import Partition, listed, unread_deleted

#: How long the brokers may take to answer.
ANSWER_SECONDS: Final = 5.0

log = structlog.get_logger("firstcall.sink")


class _Gap(NamedTuple):
    """Offsets that were not read. `start`: the first one; None: the committed one, which is not known yet. `end`: the one after them."""

    start: int | None
    end: int


class GapDetector:
    """Follows the offsets that are read of each partition. `topics`: those that Kafka deletes by age or size.

    A log may have real holes (transaction markers). A gap that reaches to the beginning of the log is none: its records were
    deleted. Compacted topics are not followed: the latest row of each key is enough.
    """

    def __init__(self, consumer: Consumer, group: str, topics: Collection[str]) -> None:
        self._consumer = consumer
        self._group = group
        self._topics = frozenset(topics)
        #: The offset expected next. A partition of which nothing was read has none: the committed one is expected.
        self._next: dict[Partition, int] = {}
        #: By partition, the first gap that is not explained yet.
        self._gaps: dict[Partition, _Gap] = {}

    def drop(self, partition: Partition) -> None:
        """Follow a partition no more: its next owner begins at the committed offset."""
        self._next.pop(partition, None)
        self._gaps.pop(partition, None)

    def read(self, partition: Partition, offset: int) -> None:
        if partition[0] in self._topics:
            self._reach(partition, offset)
            self._next[partition] = offset + 1

    def end(self, partition: Partition, offset: int) -> bool:
        """Note the end of the log. False if it was read up to there; else the log ends in transaction markers."""
        if partition[0] not in self._topics or self._next.get(partition, -1) >= offset:
            return False
        self._reach(partition, offset)
        self._next[partition] = offset
        return True

    def _reach(self, partition: Partition, offset: int) -> None:
        expected = self._next.get(partition)
        if expected is None or offset > expected:
            self._gaps.setdefault(partition, _Gap(expected, offset))

    def is_complete(self) -> bool:
        """Whether certainly no record was missed. False while the brokers do not answer: call it again.

        Raises DeploymentError if records were deleted before they were read.
        """
        if not self._gaps:
            return True
        try:
            committed = self._committed([partition for partition, gap in self._gaps.items() if gap.start is None])
            # Without a committed offset the group has never read the partition.
            starts = {
                partition: committed.get(partition, gap.end) if gap.start is None else gap.start
                for partition, gap in self._gaps.items()
            }
            holes = {partition: start for partition, start in starts.items() if start < self._gaps[partition].end}
            first = listed(self._consumer, list(holes), OFFSET_BEGINNING, ANSWER_SECONDS)
        except KafkaException as error:
            log.warning("log_start_unknown", error=error.args[0].str())
            return False
        for partition, start in holes.items():
            # A partition without a leader, or one whose topic is being deleted: it will be revoked.
            if partition not in first:
                return False
            if start < first[partition]:
                raise unread_deleted(self._group, partition, start, first[partition])
        self._gaps.clear()
        return True

    def _committed(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """The committed offsets of partitions that have one. Raises KafkaException."""
        if not partitions:
            return {}
        answers = self._consumer.committed([TopicPartition(*partition) for partition in partitions], ANSWER_SECONDS)
        for each in answers:
            if each.error is not None:
                raise KafkaException(each.error)
        return {(each.topic, each.partition): each.offset for each in answers if each.offset >= 0}

"""Whether the sink reads all that there was. Where Kafka has deleted what it has not read, its client goes on after it, and says nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from streams.runtime.brokers import Partition, listed, unread_deleted

#: How long the brokers may take to say what is committed, and where a log begins.
ANSWER_SECONDS: Final = 5.0

log = structlog.get_logger("firstcall.sink")


class _Leap(NamedTuple):
    """Offsets that were not read. `start`: the first one; None: what is committed, which is not known yet. `end`: the one after them."""

    start: int | None
    end: int


class GapDetector:
    """Follows the offsets that are read of each partition. `topics`: those that Kafka deletes by age or size.

    A log may have real holes (transaction markers). One that reaches to the beginning of the log is none. Of a compacted topic
    nothing is followed: the latest row of each key is enough.
    """

    def __init__(self, consumer: Consumer, group: str, topics: Collection[str]) -> None:
        self._consumer = consumer
        self._group = group
        self._topics = frozenset(topics)
        #: The offset that comes next. None of a partition of which nothing was read: that is the committed one.
        self._next: dict[Partition, int] = {}
        #: By partition, the first one that is not explained yet.
        self._leaps: dict[Partition, _Leap] = {}

    def leave(self, place: Partition) -> None:
        """Follow a partition no more: whoever has it next begins at what is committed."""
        self._next.pop(place, None)
        self._leaps.pop(place, None)

    def read(self, place: Partition, offset: int) -> None:
        """Note the offset of a record that was read."""
        if place[0] in self._topics:
            self._reach(place, offset)
            self._next[place] = offset + 1

    def end(self, place: Partition, offset: int) -> bool:
        """Note where the log ends by now. False if that is where it was read to; else it ends in transaction markers."""
        if place[0] not in self._topics or self._next.get(place, -1) >= offset:
            return False
        self._reach(place, offset)
        self._next[place] = offset
        return True

    def _reach(self, place: Partition, offset: int) -> None:
        expected = self._next.get(place)
        if expected is None or offset > expected:
            self._leaps.setdefault(place, _Leap(expected, offset))

    def is_whole(self) -> bool:
        """Whether it is certain that all was read up to here; False while the brokers do not answer: ask again.

        Raises DeploymentError if something was deleted before.
        """
        if not self._leaps:
            return True
        try:
            begun = self._committed([place for place, leap in self._leaps.items() if leap.start is None])
            # Where nothing is committed the group has never been.
            starts = {
                place: begun.get(place, leap.end) if leap.start is None else leap.start
                for place, leap in self._leaps.items()
            }
            holes = {place: start for place, start in starts.items() if start < self._leaps[place].end}
            first = listed(self._consumer, list(holes), OFFSET_BEGINNING, ANSWER_SECONDS)
        except KafkaException as error:
            log.warning("log_start_unknown", error=error.args[0].str())
            return False
        for place, start in holes.items():
            # A partition without a leader, or whose topic is just deleted: then it is taken away.
            if place not in first:
                return False
            if start < first[place]:
                raise unread_deleted(self._group, place, start, first[place])
        self._leaps.clear()
        return True

    def _committed(self, places: Collection[Partition]) -> dict[Partition, int]:
        """What is committed of partitions; none where nothing is. Raises KafkaException."""
        if not places:
            return {}
        asked = self._consumer.committed([TopicPartition(*place) for place in places], ANSWER_SECONDS)
        for each in asked:
            if each.error is not None:
                raise KafkaException(each.error)
        return {(each.topic, each.partition): each.offset for each in asked if each.offset >= 0}

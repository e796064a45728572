"""Whether the sink reads all that there was. Where Kafka has deleted what it has not read, its client goes on after it, and says nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from streams.brokers import Partition, UnreadDeletedError, listed

#: How long the brokers may take to say what is committed, and where a log begins.
ANSWER_SECONDS: Final = 5.0

log = structlog.get_logger("firstcall.sink")


class Continuity:
    """Follows the offsets that are read of each partition. `topics`: those that Kafka deletes by age or size.

    A log may have real holes (transaction markers). One that reaches to the beginning of the log is none. Of a compacted topic
    nothing is followed: the latest row of each key is enough.
    """

    def __init__(self, consumer: Consumer, group: str, topics: Collection[str]) -> None:
        self._consumer = consumer
        self._group = group
        self._topics = frozenset(topics)
        #: Partitions just assigned: what is committed there is not known yet.
        self._begun: set[Partition] = set()
        #: The offset that comes next, and the beginnings of holes that are not explained yet.
        self._next: dict[Partition, int] = {}
        self._holes: dict[Partition, int] = {}

    def begin(self, places: Iterable[Partition]) -> None:
        """Follow partitions that were assigned."""
        self._begun |= {place for place in places if place[0] in self._topics}

    def leave(self, place: Partition) -> None:
        """Follow a partition no more."""
        self._begun.discard(place)
        self._next.pop(place, None)
        self._holes.pop(place, None)

    def read(self, place: Partition, offset: int) -> None:
        """Note the offset of a record that was read."""
        if place[0] in self._topics:
            expected = self._next.get(place, offset)
            if offset > expected:
                self._holes.setdefault(place, expected)
            self._next[place] = offset + 1

    def is_whole(self) -> bool:
        """Whether it is certain that all was read up to here; False while the brokers do not answer: ask again.

        Raises UnreadDeletedError if something was deleted before.
        """
        if not self._begun and not self._holes:
            return True
        try:
            expected = self._committed() | self._holes
            first = listed(self._consumer, list(expected), OFFSET_BEGINNING, ANSWER_SECONDS)
        except KafkaException as error:
            log.warning("it is not known whether Kafka still has what comes next; rows wait", error=error.args[0].str())
            return False
        for place, offset in expected.items():
            # A partition without a leader, or whose topic is just deleted: then it is taken away.
            if place not in first:
                return False
            if offset < first[place]:
                raise UnreadDeletedError(self._group, place, offset, first[place])
        self._begun.clear()
        self._holes.clear()
        return True

    def _committed(self) -> dict[Partition, int]:
        """What is committed of the partitions just assigned; where nothing is, the group has never been."""
        if not self._begun:
            return {}
        asked = self._consumer.committed([TopicPartition(*place) for place in self._begun], ANSWER_SECONDS)
        for each in asked:
            if each.error is not None:
                raise KafkaException(each.error)
        return {(each.topic, each.partition): each.offset for each in asked if each.offset >= 0}

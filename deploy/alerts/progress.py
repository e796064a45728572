"""Up to when everything that producers sent is in ClickHouse: what lies behind in Kafka must not look like a drop.

An event passes several topics on its way. When all that lay in any topic at one moment is acknowledged, every event has made one
step; after as many such rounds as there are steps, every event from before the first of them has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import CoordinatorNotAvailableError, GroupIdNotFoundError

#: Inputs, alias updates, merges, developer updates, company updates, rows.
STEPS: Final = 6


class PartitionPosition(NamedTuple):
    """A partition of a topic, as a consumer group reads it."""

    group: str
    topic: str
    partition: int


class Position(NamedTuple):
    """The next offset that is not acknowledged, and the one that the next record will get."""

    acknowledged: int
    end: int


class Progress:
    """Follows the rounds. `known_until`: all that was sent before it has arrived; None before that is known of any moment."""

    def __init__(self, steps: int = STEPS) -> None:
        self.known_until: int | None = None
        self._steps = steps
        self._began = 0
        self._rounds = 0
        self._ends: Mapping[PartitionPosition, int] | None = None

    def observe(self, now: int, positions: Mapping[PartitionPosition, Position]) -> None:
        """Receive positions, of which the acknowledged ones were read first, at `now` (milliseconds) or later."""
        if all(position.acknowledged >= position.end for position in positions.values()):
            # Nothing is under way at all.
            self.known_until, self._ends = now, None
            return
        if self._ends is None:
            self._begin(now, positions)
        elif all(
            positions[place].acknowledged >= end if place in positions else end == 0
            for place, end in self._ends.items()
        ):
            self._rounds += 1
            if self._rounds >= self._steps:
                self.known_until = self._began
                self._begin(now, positions)
            else:
                self._ends = {place: position.end for place, position in positions.items()}

    def _begin(self, now: int, positions: Mapping[PartitionPosition, Position]) -> None:
        self._began, self._rounds = now, 0
        self._ends = {place: position.end for place, position in positions.items()}


def read_positions(client: KafkaAdminClient, consumed: Mapping[str, list[str]]) -> dict[PartitionPosition, Position]:
    """The positions of groups on the topics that they consume. Raises KafkaError."""
    existing = set(client.list_topics())
    wanted = sorted({topic for names in consumed.values() for topic in names} & existing)
    partitions = [
        TopicPartition(each["name"], partition["partition_index"])
        for each in (client.describe_topics(wanted) if wanted else [])
        for partition in each["partitions"]
    ]
    if not partitions:
        return {}
    acknowledged = {group: _acknowledged(client, group) for group in consumed}
    first = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    end = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    return {
        PartitionPosition(group, partition.topic, partition.partition): Position(
            max(acknowledged[group].get(partition, 0), first[partition].offset), end[partition].offset
        )
        for group, names in consumed.items()
        for partition in partitions
        if partition.topic in names
    }


def _acknowledged(client: KafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    try:
        offsets: dict[TopicPartition, Any] = client.list_group_offsets({group: None})[group]
    except (GroupIdNotFoundError, CoordinatorNotAvailableError):
        return {}
    return {partition: found.offset for partition, found in offsets.items() if found.offset >= 0}

"""The consumer groups of worker and sink: their members, their offsets, and how far they are behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    NotCoordinatorError,
)

from schemas.config.settings import Settings
from streams.topology import INPUTS, ROWS, UPDATES

#: A group has no members while it rebalances.
JOINED_WITHIN_SECONDS = 15.0
#: A new coordinator loads the offsets of its groups first.
LOADED_WITHIN_SECONDS = 30.0


@dataclass(frozen=True)
class Lag:
    """Over all partitions of a topic: records that a group has not committed yet, and the sum of its committed offsets."""

    group: str
    topic: str
    records: int
    committed: int


def consumed_topics(settings: Settings) -> dict[str, list[str]]:
    inputs, updates, rows = ([settings.topic(topic.name) for topic in each] for each in (INPUTS, UPDATES, ROWS))
    return {settings.streams_id: inputs + updates, f"{settings.streams_id}-sink": inputs + rows}


def lags(client: KafkaAdminClient, consumed: Mapping[str, Iterable[str]]) -> list[Lag]:
    """The lag of each group on each of the topics it consumes. A missing topic has none.

    Without a committed offset, it counts from the earliest record on. Committed offsets are read before the end offsets, so
    that a record that is processed into another topic meanwhile counts in one of the two.
    """
    committed = {group: committed_by(client, group) for group in consumed}
    ranges = ranges_of(client, {topic for names in consumed.values() for topic in names})
    found = []
    for group, names in consumed.items():
        for topic in sorted({at.topic for at in ranges}.intersection(names)):
            records = done = 0
            for at, (first, end) in ranges.items():
                if at.topic == topic:
                    offset = committed[group].get(at, 0)
                    done += offset
                    records += max(end - max(offset, first), 0)
            found.append(Lag(group, topic, records, done))
    return found


def members_of(client: KafkaAdminClient, group: str) -> int:
    """How many members a group has; 0 while it rebalances."""
    try:
        found = client.describe_groups([group])[group]
    except (GroupIdNotFoundError, CoordinatorNotAvailableError):
        return 0
    return len(found["members"]) if found["group_state"] == "Stable" else 0


def is_deserted(client: KafkaAdminClient, group: str) -> bool:
    """Whether it is certain that a group has no members, and is not rebalancing."""
    try:
        return str(client.describe_groups([group])[group]["group_state"]) in ("Empty", "Dead")
    except GroupIdNotFoundError:
        return True
    except CoordinatorNotAvailableError:
        return False


def committed_by(client: KafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    """The committed offsets of a group by partition. Waits while the coordinator loads them."""
    end = monotonic() + LOADED_WITHIN_SECONDS
    while True:
        try:
            offsets = client.list_group_offsets({group: None})[group]
        except (GroupIdNotFoundError, CoordinatorNotAvailableError):
            # A group that has never existed has committed nothing.
            return {}
        except (CoordinatorLoadInProgressError, NotCoordinatorError):
            if monotonic() > end:
                raise
            sleep(0.2)
        else:
            return {partition: found.offset for partition, found in offsets.items() if found.offset >= 0}


def ranges_of(client: KafkaAdminClient, names: Iterable[str]) -> dict[TopicPartition, tuple[int, int]]:
    """By partition of the topics that exist, the offset of the first record and the one after the last."""
    existing = sorted(set(names) & set(client.list_topics()))
    # For an empty list, Kafka describes all topics.
    described = client.describe_topics(existing) if existing else []
    partitions = [
        TopicPartition(each["name"], partition["partition_index"])
        for each in described
        for partition in each["partitions"]
    ]
    if not partitions:
        return {}
    first = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    end = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    return {each: (first[each].offset, end[each].offset) for each in partitions}


def ends_of(client: KafkaAdminClient, names: Iterable[str]) -> dict[TopicPartition, int]:
    """The offsets after the last records of topics; no entry for a partition without records."""
    return {each: end for each, (first, end) in ranges_of(client, names).items() if end > first}

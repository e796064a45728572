"""Creates the topics, compares them with what they must be, and measures the lag of the consumer groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    KafkaError,
    NotCoordinatorError,
    TopicAlreadyExistsError,
    for_code,
)

from deploy.services.required import require_broker
from schemas.config.settings import Settings
from streams.topology import INPUTS, MAX_INPUT_BYTES, OWN_TOPICS, ROWS, TOPICS, UPDATES, Topic

DAY_MS = 86_400_000
#: A group has no members while it rebalances.
JOINED_WITHIN_SECONDS = 15.0
#: A new coordinator loads the offsets of its groups first.
LOADED_WITHIN_SECONDS = 30.0
#: The pause between two attempts to reach brokers, besides the timeout of `administration`.
ASKED_AGAIN_SECONDS = 1.0

log = structlog.get_logger("firstcall.kafka")


@dataclass(frozen=True)
class TopicState:
    """A topic as Kafka has it. `problem` is empty, or what is wrong and what to do."""

    name: str
    partitions: int
    created: bool
    problem: str = ""


@dataclass(frozen=True)
class Lag:
    """How many records of a topic a consumer group has not committed yet, over all partitions."""

    group: str
    topic: str
    records: int
    committed: int


@contextmanager
def administration(settings: Settings, timeout_ms: int = 10_000) -> Iterator[KafkaAdminClient]:
    """A Kafka admin client. Raises KafkaError when no broker answers in time, DeploymentError when the local one does not run."""
    require_broker(settings)
    client = KafkaAdminClient(
        bootstrap_servers=settings.brokers.split(","),
        client_id=f"{settings.app_id}-administration",
        request_timeout_ms=timeout_ms,
        bootstrap_timeout_ms=timeout_ms,
        **settings.kafka_options.for_kafka_python(),
    )
    try:
        yield client
    finally:
        client.close()


def partitions_of(settings: Settings, topic: Topic) -> int:
    """How many partitions a topic is to have."""
    return 1 if topic.single else settings.partitions


def ensure_topics(client: KafkaAdminClient, settings: Settings, topics: Iterable[Topic] = TOPICS) -> list[TopicState]:
    """Create the topics that are missing and compare the others. Repeating it changes nothing.

    Raises KafkaError when a topic cannot be created.
    """
    topics = tuple(topics)
    before = {state.name for state in inspect_topics(client, settings, topics) if state.partitions}
    missing = [topic for topic in topics if settings.topic(topic.name) not in before]
    if missing:
        names = [settings.topic(topic.name) for topic in missing]
        answer = client.create_topics(
            {settings.topic(topic.name): _creation(settings, topic) for topic in missing}, raise_errors=False
        )
        for created in answer["topics"]:
            error = for_code(created["error_code"])
            # Another process may have created it meanwhile.
            if created["error_code"] and error is not TopicAlreadyExistsError:
                raise error(f"topic {created['name']} cannot be created: {created['error_message'] or error.__name__}")
        client.wait_for_topics(names, timeout_ms=60_000)
    after = inspect_topics(client, settings, topics)
    return [TopicState(t.name, t.partitions, t.name not in before, t.problem) for t in after]


def inspect_topics(client: KafkaAdminClient, settings: Settings, topics: Iterable[Topic] = TOPICS) -> list[TopicState]:
    """The topics as Kafka has them; a missing one has no partitions."""
    topics = tuple(topics)
    existing = set(client.list_topics())
    wanted = [name for name in (settings.topic(topic.name) for topic in topics) if name in existing]
    # Only those that exist: describing others could create them.
    found = {each["name"]: len(each["partitions"]) for each in client.describe_topics(wanted)} if wanted else {}
    return [_compared(settings, topic, found.get(settings.topic(topic.name), 0)) for topic in topics]


def wrong_topics(settings: Settings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """What is wrong with the topics, a line for each. Raises KafkaError when no broker answers."""
    with administration(settings) as client:
        states = inspect_topics(client, settings, topics)
    return [f"topic {state.name} {state.problem}" for state in states if state.problem]


def await_wrong_topics(settings: Settings) -> list[str]:
    """`wrong_topics`, once brokers answer. Raises KafkaError when they refuse, DeploymentError when they refuse the login."""
    while True:
        try:
            return wrong_topics(settings)
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("waits_for_brokers", brokers=settings.brokers, error=str(error))
            sleep(ASKED_AGAIN_SECONDS)


def delete_topics(client: KafkaAdminClient, prefixes: tuple[str, ...]) -> list[str]:
    """Delete all topics whose names begin with one of the prefixes. Returns their names."""
    names = [name for name in client.list_topics() if name.startswith(prefixes)]
    if names:
        client.delete_topics(names)
    return names


def _compared(settings: Settings, topic: Topic, partitions: int) -> TopicState:
    name, wanted = settings.topic(topic.name), partitions_of(settings, topic)
    problem = ""
    if partitions == 0:
        problem = "missing; create it with `firstcall migrate`"
    elif partitions != wanted:
        what = "FIRSTCALL_PARTITIONS is" if not topic.single else "it must be"
        problem = (
            f"has {partitions} partitions, but {what} {wanted}. Keys would move between partitions: set FIRSTCALL_PARTITIONS "
            "to what is there, or start over with another FIRSTCALL_TOPIC_PREFIX and FIRSTCALL_APP_ID and send the events again"
        )
    return TopicState(name, partitions, created=False, problem=problem)


def _creation(settings: Settings, topic: Topic) -> dict[str, Any]:
    configs: dict[str, str] = {"cleanup.policy": topic.cleanup}
    configs |= {"max.message.bytes": str(MAX_INPUT_BYTES)} if topic in INPUTS else OWN_TOPICS
    if topic.retention_days is not None:
        configs["retention.ms"] = str(-1 if topic.retention_days < 0 else topic.retention_days * DAY_MS)
    return {
        "num_partitions": partitions_of(settings, topic),
        "replication_factor": settings.replication_factor,
        "configs": configs,
    }


def lags(client: KafkaAdminClient, consumed: Mapping[str, Iterable[str]]) -> list[Lag]:
    """The lag of each group on each of the topics it consumes. A missing topic has none.

    Without a committed offset, it counts from the earliest record on. Committed offsets are read before the end offsets, so
    that a record that is processed into another topic meanwhile counts in one of the two.
    """
    existing = set(client.list_topics())
    topics = {topic for names in consumed.values() for topic in names} & existing
    partitions = _partitions(client, topics)
    if not partitions:
        return []
    committed = {group: committed_by(client, group) for group in consumed}
    first = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    end = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    found = []
    for group, names in consumed.items():
        for topic in sorted(set(names) & existing):
            records = done = 0
            for partition in partitions:
                if partition.topic == topic:
                    at = committed[group].get(partition, -1)
                    done += max(at, 0)
                    records += max(end[partition].offset - max(at, first[partition].offset), 0)
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


def _partitions(client: KafkaAdminClient, names: Iterable[str]) -> list[TopicPartition]:
    """The partitions of topics that exist."""
    wanted = sorted(names)
    return [
        TopicPartition(each["name"], partition["partition_index"])
        # For an empty list, Kafka describes all topics.
        for each in (client.describe_topics(wanted) if wanted else [])
        for partition in each["partitions"]
    ]


def ends_of(client: KafkaAdminClient, names: Iterable[str]) -> dict[TopicPartition, int]:
    """The offsets after the last records of topics; no entry for a partition without records."""
    partitions = _partitions(client, names)
    first = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    end = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    return {each: end[each].offset for each in partitions if end[each].offset > first[each].offset}


def ranges_of(client: KafkaAdminClient, names: Iterable[str]) -> dict[TopicPartition, tuple[int, int]]:
    """By partition, the offset of the first record that topics still hold, and the one after the last."""
    partitions = _partitions(client, set(names) & set(client.list_topics()))
    if not partitions:
        return {}
    first = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    end = client.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    return {each: (first[each].offset, end[each].offset) for each in partitions}


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


def consumed_topics(settings: Settings) -> dict[str, list[str]]:
    """The topics that each consumer group reads."""
    inputs = [settings.topic(topic.name) for topic in INPUTS]
    updates = [settings.topic(topic.name) for topic in UPDATES]
    rows = [settings.topic(topic.name) for topic in ROWS]
    return {settings.streams_id: inputs + updates, f"{settings.streams_id}-sink": inputs + rows}

"""Creates missing topics, and compares the partitions of existing ones. `streams/topology.py` declares every topic.

Cleanup policy, retention and size of an existing topic are not compared: an operator may change them. So a change of these in
`topology.py` has an effect on new installations only; `kafka-configs.sh --alter` changes an existing topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep
from typing import Any

import structlog
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from deploy.services.required import require_broker
from schemas.config.settings import Settings
from streams.topology import INPUTS, MAX_INPUT_BYTES, OWN_TOPICS, TOPICS, Topic

DAY_MS = 86_400_000
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
    return 1 if topic.single else settings.partitions


def ensure_topics(client: KafkaAdminClient, settings: Settings, topics: Iterable[Topic] = TOPICS) -> list[TopicState]:
    """Create missing topics, and compare the partitions of the others. Repeating it changes nothing.

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

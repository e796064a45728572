"""Topics and lag on a real broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from deploy.services import groups, topics
from schemas.config.loading import load_settings
from schemas.config.settings import Settings
from streams.topology import TOPICS, WEB_EVENTS, Topic


@pytest.fixture
def settings(broker: str, unique: str) -> Settings:
    return load_settings(kafka=broker, topic_prefix=f"{unique}.", app_id=unique, secrets="0123456789abcdef")


@pytest.fixture
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    with topics.administration(settings) as client:
        yield client
        topics.delete_topics(client, (settings.topic_prefix,))


def produce(settings: Settings, topic: str, records: int, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": settings.brokers})
    for number in range(records):
        producer.produce(settings.topic(topic), str(number), partition=partition)
    assert producer.flush(30) == 0


def commit(settings: Settings, group: str, topic: str, offset: int, partition: int = 0) -> None:
    consumer = Consumer({"bootstrap.servers": settings.brokers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(settings.topic(topic), partition, offset)], asynchronous=False)
    consumer.close()


def test_topics_are_created_once_with_the_settings_numbers(settings, admin):
    first = topics.ensure_topics(admin, settings)
    assert [state.name for state in first] == [settings.topic(topic.name) for topic in TOPICS]
    assert all(state.created for state in first)
    assert [state.partitions for state in first] == [1 if topic.single else 3 for topic in TOPICS]
    again = topics.ensure_topics(admin, settings)
    assert not any(state.created or state.problem for state in again)


def test_topics_are_cleaned_up_as_declared(settings, admin):
    wanted = [
        Topic("kept", "delete", retention_days=-1),
        Topic("week", "delete", retention_days=7),
        Topic("rows", "compact"),
    ]
    topics.ensure_topics(admin, settings, wanted)
    resources = [ConfigResource(ConfigResourceType.TOPIC, settings.topic(topic.name)) for topic in wanted]
    described = admin.describe_configs(resources)
    text = str(described)
    assert "604800000" in text
    found = {
        name: {key: config["value"] for key, config in configs.items()} for name, configs in described["topic"].items()
    }
    kept, week, rows = (found[settings.topic(topic.name)] for topic in wanted)
    assert (kept["cleanup.policy"], kept["retention.ms"]) == ("delete", "-1")
    assert week["retention.ms"] == str(7 * 86_400_000)
    assert rows["cleanup.policy"] == "compact"


def test_a_missing_topic_and_a_wrong_number_of_partitions_are_reported(settings, admin):
    topics.ensure_topics(admin, settings, [Topic(WEB_EVENTS, "delete")])
    other = settings.model_copy(update={"partitions": 5})
    web, api = topics.inspect_topics(admin, other, [Topic(WEB_EVENTS, "delete"), Topic("api-events", "delete")])
    assert web.problem.startswith("has 3 partitions, but FIRSTCALL_PARTITIONS is 5.")
    assert api.problem == "missing; create it with `firstcall migrate`"


def test_lag_counts_what_is_not_acknowledged(settings, admin):
    topics.ensure_topics(admin, settings, [Topic(WEB_EVENTS, "delete"), Topic("api-events", "delete")])
    group = settings.app_id
    web, api = settings.topic(WEB_EVENTS), settings.topic("api-events")
    produce(settings, WEB_EVENTS, 7)
    produce(settings, WEB_EVENTS, 2, partition=1)
    produce(settings, "api-events", 3)
    commit(settings, group, WEB_EVENTS, 5)
    #                 partition 0    partition 1
    # web-events      .....xx        xx               x: not acknowledged
    # api-events      xxx                             never read by this group
    found = {lag.topic: lag for lag in groups.lags(admin, {group: [web, api, "there-is-no-such-topic"]})}
    assert {name: lag.records for name, lag in found.items()} == {web: 4, api: 3}
    assert found[web].committed == 5


def test_a_group_that_was_never_there_is_behind_by_everything(settings, admin):
    topics.ensure_topics(admin, settings, [Topic(WEB_EVENTS, "delete")])
    produce(settings, WEB_EVENTS, 4)
    (lag,) = groups.lags(admin, {f"{settings.app_id}-never": [settings.topic(WEB_EVENTS)]})
    assert lag.records == 4
    assert groups.members_of(admin, f"{settings.app_id}-never") == 0


def test_nobody_home_is_an_error_in_time(unique):
    settings = load_settings(kafka="127.0.0.1:1", app_id=unique)
    with pytest.raises(KafkaError), topics.administration(settings, timeout_ms=500):
        pass

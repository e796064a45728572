"""Until when everything is known: no round of the events' way is taken for done before it is."""

from __future__ import annotations

import time

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from deploy.alerts.alert import trial
from deploy.alerts.progress import PartitionPosition, Position, Progress, read_positions
from deploy.alerts.publisher import publisher
from deploy.services import topics
from schemas.config.loading import load_settings
from streams.topology import NOTIFICATIONS, Topic


def observe(progress: Progress, now: int, **acknowledged_end: tuple[int, int]) -> int | None:
    progress.observe(
        now, {PartitionPosition(name, name, 0): Position(*each) for name, each in acknowledged_end.items()}
    )
    return progress.known_until


def test_when_nothing_is_under_way_everything_is_known():
    assert observe(Progress(), 100, worker=(5, 5), sink=(9, 9)) == 100


def test_before_anything_has_arrived_nothing_is_known():
    assert observe(Progress(), 100, worker=(0, 5)) is None


def test_in_a_steady_stream_the_moment_follows_by_as_many_rounds_as_there_are_steps():
    progress = Progress(steps=2)
    assert observe(progress, 100, worker=(10, 12), sink=(7, 9)) is None
    # The worker has passed the 12 of before, the sink has not passed its 9.
    assert observe(progress, 200, worker=(13, 15), sink=(8, 12)) is None
    assert observe(progress, 300, worker=(14, 16), sink=(9, 13)) is None
    # First round. The second one is over when 16 and 13 are passed.
    assert observe(progress, 400, worker=(15, 20), sink=(13, 14)) is None
    assert observe(progress, 500, worker=(16, 21), sink=(13, 15)) == 100
    # And from there on again.
    assert observe(progress, 600, worker=(20, 22), sink=(14, 15)) == 100


def test_a_reader_that_stands_still_stops_the_moment():
    progress = Progress(steps=1)
    for now in range(100, 1000, 100):
        assert observe(progress, now, worker=(now, now + 5), sink=(7, 9)) is None


def test_positions_of_real_groups_on_a_real_broker(broker, unique, monkeypatch):
    monkeypatch.setenv("FIRSTCALL_KAFKA", broker)
    monkeypatch.setenv("FIRSTCALL_TOPIC_PREFIX", f"{unique}.")
    settings = load_settings()
    name, group = settings.topic("read"), f"{unique}-group"
    with topics.administration(settings) as client:
        topics.ensure_topics(client, settings, [Topic("read", "delete"), *NOTIFICATIONS])
        producer = Producer({"bootstrap.servers": broker})
        for partition in (0, 0, 1):
            producer.produce(name, b"x", partition=partition)
        producer.flush()
        consumer = Consumer({"bootstrap.servers": broker, "group.id": group, "enable.auto.commit": False})
        consumer.commit(offsets=[TopicPartition(name, 0, 1)], asynchronous=False)
        found = read_positions(client, {group: [name, f"{unique}.missing"], f"{unique}-never": [name]})
        consumer.close()
    assert found[PartitionPosition(group, name, 0)] == Position(1, 2)
    assert found[PartitionPosition(group, name, 1)] == Position(0, 1)
    assert found[PartitionPosition(group, name, 2)] == Position(0, 0)
    assert found[PartitionPosition(f"{unique}-never", name, 0)] == Position(0, 2)

    alert = trial(int(time.time() * 1000))
    publisher(settings)(alert)
    reader = Consumer({"bootstrap.servers": broker, "group.id": f"{unique}-reader", "auto.offset.reset": "earliest"})
    reader.subscribe([settings.topic("alerts")])
    message = None
    while message is None:
        message = reader.poll(1.0)
    assert not message.error()
    assert message.key() == alert.alert_id.encode()
    assert orjson.loads(message.value() or b"")["alert_id"] == alert.alert_id
    reader.close()

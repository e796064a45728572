"""Records that reach a changelog late: what a worker that was given up had on the way."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.config.settings import Settings
from tests.support.kafka_log import ends


def write_late(settings: Settings, records: int) -> int:
    """Write the oldest records of each partition of each changelog again, as they were, to its end; how many those are."""
    producer = Producer({"bootstrap.servers": settings.brokers})
    consumer = Consumer({"bootstrap.servers": settings.brokers, "group.id": "no-one", "enable.auto.commit": False})
    written = 0
    try:
        for topic in consumer.list_topics().topics.values():
            if not (str(topic.topic).startswith(settings.streams_id) and str(topic.topic).endswith("-changelog")):
                continue
            for number, end in enumerate(ends(consumer, str(topic.topic), len(topic.partitions))):
                place = TopicPartition(str(topic.topic), number, 0)
                consumer.assign([place])
                for message in consumer.consume(min(records, end), 5.0) if end else []:
                    assert message.error() is None
                    producer.produce(
                        place.topic, message.value(), message.key(), number, headers=message.headers() or []
                    )
                    written += 1
    finally:
        consumer.close()
    assert producer.flush(30) == 0
    return written

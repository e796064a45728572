"""The records of a topic, read without a consumer group."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.runtime.brokers import listed
from tests.support.scraped import until

ANSWER_SECONDS = 10.0


def ends(consumer: Consumer, topic: str, partitions: int) -> list[int]:
    """The end of each partition. Waits for their leaders: a topic just made may have none yet."""
    wanted = [(topic, partition) for partition in range(partitions)]
    found: dict[tuple[str, int], int] = {}

    def is_answered() -> bool:
        try:
            found.update(listed(consumer, wanted, OFFSET_END, ANSWER_SECONDS))
        except KafkaException as error:
            print(f"asking for the ends of {topic} again: {error}")
        return found.keys() == set(wanted)

    until(is_answered, f"no end of each partition of {topic}: {found}")
    return [found[each] for each in wanted]


def records(broker: str, topic: str) -> Iterator[Message]:
    """All records of a topic, each partition to where it ends by then."""
    reader = Consumer(
        {"bootstrap.servers": broker, "group.id": "no-one", "enable.auto.commit": False, "enable.partition.eof": True}
    )
    try:
        left = set(reader.list_topics(topic, ANSWER_SECONDS).topics[topic].partitions)
        reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in left])
        while left:
            for message in reader.consume(10_000, 1.0):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                else:
                    raise KafkaException(error)
    finally:
        reader.close()

"""Refused messages as they lie in Kafka: a dead letter shows only their start, without keys."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, cast

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Message, TopicPartition

from deploy.dead_letters.letters import MessageRef
from schemas.config.settings import Settings
from streams.topology import MAX_MESSAGE_BYTES

ANSWER_SECONDS: Final = 30.0
#: Up to so many messages between two wanted ones are read; a longer distance is a seek.
NEAR: Final = 1_000


class Original(NamedTuple):
    """A message as it was written. `timestamp` in ms; `is_stamped`: by the brokers, so that a copy gets another one."""

    ref: MessageRef
    key: bytes | None
    value: bytes | None
    timestamp: int
    is_stamped: bool
    headers: list[tuple[str, str | bytes | None]]


class Originals:
    """Reads messages by topic, partition and offset. Joins no group. Methods raise KafkaException."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.brokers,
                # Never joined, but librdkafka wants the name of a group.
                "group.id": f"{settings.app_id}-dead-letters",
                "enable.auto.commit": False,
                # Where a message was deleted in the meantime, the next one is read.
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
                **settings.kafka_options.for_librdkafka(),
            },
            logger=logging.getLogger("librdkafka"),
        )
        found = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
        self._partitions = {(name, number) for name, topic in found.items() for number in topic.partitions}

    def close(self) -> None:
        self._consumer.close()

    def at(self, topic: str, partition: int, offsets: Sequence[int]) -> Iterator[tuple[int, Original | None]]:
        """The messages at offsets of a partition, ascending; None for those that are not there any more."""
        begin, end = self._ends(topic, partition)
        read: Message | None = None
        for offset in offsets:
            if not begin <= offset < end:
                yield offset, None
                continue
            if read is None or not _offset(read) <= offset <= _offset(read) + NEAR:
                read = self._from(topic, partition, offset)
            while read is not None and _offset(read) < offset:
                read = self._next(topic, partition)
            if read is None:
                # Nothing but holes up to the end.
                end = offset
            yield offset, _original(read) if read is not None and _offset(read) == offset else None

    def latest(self, topic: str, partition: int, offsets: Sequence[int]) -> Iterator[tuple[int, Original | None]]:
        """The same of a compacted topic; None also where a later message has the same key: it has replaced the message.

        Reads the partition from the first of the offsets to its end.
        """
        wanted, (_, end) = set(offsets), self._ends(topic, partition)
        found: dict[bytes | int, Original] = {}
        message = self._from(topic, partition, min(wanted)) if wanted and min(wanted) < end else None
        while message is not None:
            offset, key = _offset(message), _bytes(message.key())
            # A message without a key replaces none.
            name = offset if key is None else key
            found.pop(name, None)
            if offset in wanted:
                found[name] = _original(message)
            message = self._next(topic, partition) if offset + 1 < end else None
        by_offset = {original.ref.offset: original for original in found.values()}
        for offset in offsets:
            yield offset, by_offset.get(offset)

    def _ends(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset and the one after the last; none lies between where there is no such partition (any more)."""
        if (topic, partition) not in self._partitions:
            return 0, 0
        begin, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_SECONDS)
        return begin, end

    def _from(self, topic: str, partition: int, offset: int) -> Message | None:
        """The message at the offset, else the first one after it; None at the partition's end."""
        self._consumer.assign([TopicPartition(topic, partition, offset)])
        return self._next(topic, partition)

    def _next(self, topic: str, partition: int) -> Message | None:
        """The next message of the assigned partition; None at its end."""
        message = self._consumer.poll(ANSWER_SECONDS)
        while message is not None and (message.topic(), message.partition()) != (topic, partition):
            # Of the partition before, which had ended just then.
            message = self._consumer.poll(ANSWER_SECONDS)
        error = KafkaError(KafkaError.REQUEST_TIMED_OUT) if message is None else message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            return None
        if message is None or error is not None:
            raise KafkaException(error)
        return message


def _offset(message: Message) -> int:
    offset = message.offset()
    assert offset is not None, "only an error has no offset"
    return offset


def _bytes(text: bytes | str | None) -> bytes | None:
    assert not isinstance(text, str), "the consumer decodes nothing"
    return text


def _original(message: Message) -> Original:
    topic, partition = message.topic(), message.partition()
    assert topic is not None, "only an error has none"
    assert partition is not None, "only an error has none"
    kind, timestamp = message.timestamp()
    headers = cast("list[tuple[str, str | bytes | None]]", message.headers() or [])
    ref = MessageRef(topic, partition, _offset(message))
    is_stamped = kind == TIMESTAMP_LOG_APPEND_TIME
    return Original(ref, _bytes(message.key()), _bytes(message.value()), timestamp, is_stamped, headers)

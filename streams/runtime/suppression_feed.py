"""Keeps a process's marks of erasure up to date with their topic.

Whoever turns messages into events asks before each batch. The brokers are asked when the last answer is too old, so a
mark is in force everywhere `FRESH_SECONDS` after they have it, for all batches that begin then.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import StateError
from streams.messages.outbox import Message
from streams.normalise.suppression_list import Suppression, SuppressionList
from streams.topology import ERASURES

#: How old the brokers' last answer may be when a batch begins.
FRESH_SECONDS: Final = 2.0
#: How long they may take for an answer.
ANSWER_SECONDS: Final = 5.0
#: How long to wait before they are asked again.
RETRY_SECONDS: Final = 0.5

_PARTITION: Final = 0


def message_of(mark: Suppression) -> Message:
    """A mark as it stands on the topic. It takes the place of an earlier one of the same id."""
    return Message(ERASURES, f"{mark.kind}:{mark.digest}".encode(), msgspec.json.encode(mark))


def unreadable_mark(topic: str, offset: int, reason: str) -> StateError:
    """A message on the topic of marks cannot be read. It may say who was erased, so nothing is taken in without it."""
    return StateError(
        f"the message at {topic}/{_PARTITION}/{offset} is no mark of an erasure that this version knows: {reason}. Run the newest "
        "version of those that have been running. If none of them wrote it, delete the topic's records up to it with "
        "kafka-delete-records, after `firstcall erase` of all whose marks lie before it has been repeated"
    )


class SuppressionFeed:
    """The marks on a topic. `options`: properties of librdkafka (addresses, authentication). Used by one thread at a time.

    Belongs to no consumer group: everyone reads all marks.
    """

    def __init__(self, marks: SuppressionList, topic: str, options: Mapping[str, Any]) -> None:
        self.marks = marks
        self._topic = topic
        self._consumer = Consumer(
            # Never joined, but librdkafka wants the name of a group.
            {"group.id": f"{topic}-reader", "enable.auto.commit": False, "auto.offset.reset": "earliest", **options},
            logger=logging.getLogger("librdkafka"),
        )
        self._next: int | None = None
        self._made = time.monotonic()
        self._asked: float | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether the last answer is new enough to go by."""
        return self._asked is not None and self.age_seconds < FRESH_SECONDS

    @property
    def age_seconds(self) -> float:
        """How long ago the brokers were asked; if never, how long there has been nothing to ask for."""
        return time.monotonic() - (self._made if self._asked is None else self._asked)

    def refresh(self) -> None:
        """Take in the marks that are new. Raises KafkaException when the brokers do not answer: then do not go on."""
        began = time.monotonic()
        partition = TopicPartition(self._topic, _PARTITION)
        first, end = self._consumer.get_watermark_offsets(partition, ANSWER_SECONDS)
        if self._next is None or not first <= self._next <= end:
            self._next = first
            self._consumer.assign([TopicPartition(self._topic, _PARTITION, first)])
        while self._next < end:
            self._next = self._read_one() + 1
        self._asked = began

    def close(self) -> None:
        """Leave the brokers."""
        self._consumer.close()

    def _read_one(self) -> int:
        """Take in the next mark, and give its offset."""
        message = self._consumer.poll(ANSWER_SECONDS)
        error = KafkaError(KafkaError.REQUEST_TIMED_OUT) if message is None else message.error()
        if message is None or error is not None:
            raise KafkaException(error)
        value, offset = message.value(), message.offset()
        assert offset is not None, "only an error has no offset"
        if isinstance(value, bytes):
            try:
                self.marks.add(msgspec.json.decode(value, type=Suppression))
            except msgspec.DecodeError as unreadable:
                raise unreadable_mark(self._topic, offset, str(unreadable)) from None
        return offset

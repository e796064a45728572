"""Keeps a process's suppression list up to date with its topic.

Processes that turn messages into events wait for a fresh list before each batch. So a suppression holds everywhere for all
batches that begin `FRESH_SECONDS` after the brokers have it.
"""

from __future__ import annotations

import hashlib
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

#: The greatest age of the list when a batch begins.
FRESH_SECONDS: Final = 2.0
#: How long they may take for an answer.
ANSWER_SECONDS: Final = 5.0
#: The pause before the next attempt.
RETRY_SECONDS: Final = 0.5

_PARTITION: Final = 0


def message_of(suppression: Suppression) -> Message:
    """A suppression as a message of the topic. It replaces an earlier one of the same id with equal exemptions."""
    key = f"{suppression.kind}:{suppression.digest}"
    if suppression.exempt:
        key += f":{hashlib.sha256(' '.join(suppression.exempt).encode()).hexdigest()[:32]}"
    return Message(ERASURES, key.encode(), msgspec.json.encode(suppression))


class SuppressionFeed:
    """Reads the topic into a suppression list. For one thread at a time.

    `options`: properties of librdkafka (addresses, authentication). Every process reads the whole topic, so there is no group.
    """

    def __init__(self, suppression_list: SuppressionList, topic: str, options: Mapping[str, Any]) -> None:
        self.suppression_list = suppression_list
        self._topic = topic
        self._consumer = Consumer(
            # Never joined: librdkafka requires the name of a group.
            {"group.id": f"{topic}-reader", "enable.auto.commit": False, "auto.offset.reset": "earliest", **options},
            logger=logging.getLogger("librdkafka"),
        )
        self._next: int | None = None
        self._created_at = time.monotonic()
        self._refreshed_at: float | None = None

    @property
    def is_fresh(self) -> bool:
        return self._refreshed_at is not None and self.age_seconds < FRESH_SECONDS

    @property
    def age_seconds(self) -> float:
        """How long ago the list was read; if never, how long ago this object was created."""
        return time.monotonic() - (self._created_at if self._refreshed_at is None else self._refreshed_at)

    def refresh(self) -> None:
        """Read new suppressions. Raises KafkaException when the brokers do not answer: then process no event. Raises StateError."""
        began = time.monotonic()
        partition = TopicPartition(self._topic, _PARTITION)
        first, end = self._consumer.get_watermark_offsets(partition, ANSWER_SECONDS)
        if self._next is None or not first <= self._next <= end:
            self._next = first
            self._consumer.assign([TopicPartition(self._topic, _PARTITION, first)])
        while self._next < end:
            self._next = self._read_one() + 1
        self._refreshed_at = began

    def close(self) -> None:
        self._consumer.close()

    def _read_one(self) -> int:
        """Read the next suppression, and return its offset."""
        message = self._consumer.poll(ANSWER_SECONDS)
        error = KafkaError(KafkaError.REQUEST_TIMED_OUT) if message is None else message.error()
        if message is None or error is not None:
            raise KafkaException(error)
        value, offset = message.value(), message.offset()
        assert offset is not None, "only an error has no offset"
        if isinstance(value, bytes):
            try:
                self.suppression_list.add(msgspec.json.decode(value, type=Suppression))
            except msgspec.DecodeError as unreadable:
                # It may name an erased id, so no event is processed without it.
                raise StateError(
                    f"the message at {self._topic}/{_PARTITION}/{offset} is no suppression that this version knows: {unreadable}. "
                    "Run the newest version of those that have been running. If none of them wrote it, delete the topic's "
                    "records up to it with kafka-delete-records, after repeating `firstcall erase` of everyone whose suppression "
                    "lies before it"
                ) from None
        return offset

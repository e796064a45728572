"""Asks the brokers for the offsets of a consumer group, on a connection apart from the consumers that are watched."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import DeploymentError

#: How long the brokers may take for an answer.
ANSWER_SECONDS: Final = 5.0

#: Answers when none of the partitions exists.
_NOT_THERE: Final = (KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC)  # noqa: SLF001 - public, but for their names

#: A partition by its topic and number.
Partition = tuple[str, int]


class Offsets(NamedTuple):
    """Of a partition: the next offset that its group has to process, and the end of the log."""

    committed: int
    end: int


class FirstRecord(NamedTuple):
    """The first record at or after an offset. `timestamp`: as Kafka keeps it, in ms since 1970."""

    offset: int
    timestamp: int


def unread_deleted(group: str, partition: Partition, position: int, earliest: int) -> DeploymentError:
    """Kafka has deleted records that a group has not processed: the numbers would lack them, silently."""
    return DeploymentError(
        f"records {position} to {earliest - 1} of {partition[0]}/{partition[1]} were deleted by age or size before they were "
        "processed. Start over with a new FIRSTCALL_APP_ID and import the events, or, to go on without them, commit the offset of the consumer "
        f"group {group} past them"
    )


class Brokers:
    """Queries for one consumer group. `options`: properties of librdkafka (addresses, authentication). For one thread.

    It uses a consumer: librdkafka's admin client ends the process by an assertion when the brokers do not answer in time.
    """

    def __init__(self, group: str, options: Mapping[str, Any], probe: Partition) -> None:
        """`probe`: a partition that always exists, to see whether the brokers answer."""
        self._probe = probe
        self._consumer = Consumer(
            {
                **options,
                "client.id": f"{group}-watchdog",
                # It never joins the group.
                "group.id": group,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_uncommitted",
                # One record is asked for; a whole batch comes all the same.
                "fetch.message.max.bytes": 16_384,
                "queued.min.messages": 1,
                # An empty answer is an answer too, and need not wait.
                "fetch.wait.max.ms": 10,
            },
            logger=logging.getLogger("librdkafka"),
        )

    def offsets(self, partitions: Iterable[Partition]) -> dict[Partition, Offsets]:
        """The offsets of partitions, except of those without a leader. Raises KafkaException."""
        wanted = list(partitions)
        ends = listed(self._consumer, [*wanted, self._probe], OFFSET_END)
        answers = self._consumer.committed([TopicPartition(*each) for each in wanted], ANSWER_SECONDS) if wanted else []
        committed = {
            (each.topic, each.partition): each.offset for each in answers if each.error is None and each.offset >= 0
        }
        # Nothing was ever committed there: all records are to be processed.
        uncommitted = [each for each in ends if each in wanted and each not in committed]
        committed |= listed(self._consumer, uncommitted, OFFSET_BEGINNING)
        return {each: Offsets(committed[each], ends[each]) for each in wanted if each in ends and each in committed}

    def first_record(self, partition: Partition, offset: int) -> FirstRecord | None:
        """The first record from an offset on; None where there is none, though the log may go on (transaction markers).

        Raises KafkaException when it cannot be read in time.
        """
        self._consumer.assign([TopicPartition(*partition, offset)])
        try:
            message = self._consumer.poll(ANSWER_SECONDS)
            if message is None:
                raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))
            error, found = message.error(), message.offset()
            if error is None and found is not None:
                return FirstRecord(found, message.timestamp()[1])
            if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - public, but for its name
                return None
            raise KafkaException(error)
        finally:
            self._consumer.unassign()


def listed(
    consumer: Consumer, partitions: list[Partition], which: int, seconds: float = ANSWER_SECONDS
) -> dict[Partition, int]:
    """The first or the last offset of each partition, all asked for at once: they are special times to Kafka.

    `which`: OFFSET_BEGINNING or OFFSET_END. Partitions without a leader are left out. Raises KafkaException.
    """
    if not partitions:
        return {}
    try:
        found = consumer.offsets_for_times([TopicPartition(*partition, which) for partition in partitions], seconds)
    except KafkaException as error:
        if error.args[0].code() in _NOT_THERE:
            return {}
        raise
    return {(each.topic, each.partition): each.offset for each in found if each.error is None and each.offset >= 0}

"""What the brokers say of a group's partitions, asked apart from the consumers that are to be judged by it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # it does, but not in a list of names

#: How long the brokers may take for an answer.
ANSWER_SECONDS: Final = 5.0

_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]

#: A partition by its topic and number.
Partition = tuple[str, int]


class Offsets(NamedTuple):
    """Of a partition: the next offset that its group has to work on, and the end of the log."""

    committed: int
    end: int


class FirstRecord(NamedTuple):
    """The first record at or after an offset. `timestamp`: as Kafka keeps it, in ms since 1970."""

    offset: int
    timestamp: int


class Brokers:
    """Asks on behalf of a consumer group. `options`: properties of librdkafka (addresses, authentication). For one thread."""

    def __init__(self, group: str, options: Mapping[str, Any], probe: Partition) -> None:
        """`probe`: a partition that there always is, to see whether anyone answers."""
        self._group = group
        self._probe = probe
        named = {**options, "client.id": f"{group}-watchdog"}
        log = logging.getLogger("librdkafka")
        self._admin = AdminClient(named, logger=log)
        self._reader = Consumer(
            {
                **named,
                # Never joined, but librdkafka wants the name of a group.
                "group.id": f"{group}-watchdog",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                # One record is asked for; a whole batch comes all the same.
                "fetch.message.max.bytes": 16_384,
                "queued.min.messages": 1,
            },
            logger=log,
        )

    def offsets(self, partitions: Iterable[Partition]) -> dict[Partition, Offsets]:
        """Where the group and the logs are. Partitions without a leader are left out. Raises KafkaException."""
        wanted = list(partitions)
        ends = self._listed([*wanted, self._probe], _LATEST)
        committed = self._committed(wanted)
        # Nothing was ever acknowledged there: all that is kept is to do.
        first = self._listed([place for place in wanted if place not in committed], _EARLIEST)
        begun = {**first, **committed}
        return {place: Offsets(begun[place], ends[place]) for place in wanted if place in ends and place in begun}

    def first_record(self, place: Partition, offset: int) -> FirstRecord | None:
        """The first record from an offset on; None where there is none, though the log may go on (transaction markers).

        Raises KafkaException when it cannot be read in time.
        """
        self._reader.assign([TopicPartition(*place, offset)])
        try:
            message = self._reader.poll(ANSWER_SECONDS)
            if message is None:
                raise KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT))
            error, found = message.error(), message.offset()
            if error is None and found is not None:
                return FirstRecord(found, message.timestamp()[1])
            if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - public, but for its name
                return None
            raise KafkaException(error)
        finally:
            self._reader.unassign()

    def close(self) -> None:
        """Leave the brokers."""
        self._reader.close()

    def _listed(self, places: list[Partition], spec: OffsetSpec) -> dict[Partition, int]:
        if not places:
            return {}
        asked = self._admin.list_offsets(
            {TopicPartition(*place): spec for place in places}, request_timeout=ANSWER_SECONDS
        )
        found: dict[Partition, int] = {}
        failures: list[KafkaException] = []
        for partition, answer in asked.items():
            try:
                found[partition.topic, partition.partition] = answer.result().offset
            except KafkaException as error:
                failures.append(error)
        if failures and not found:
            raise failures[0]
        return found

    def _committed(self, places: list[Partition]) -> dict[Partition, int]:
        if not places:
            return {}
        request = ConsumerGroupTopicPartitions(self._group, [TopicPartition(*place) for place in places])
        (answer,) = self._admin.list_consumer_group_offsets([request], request_timeout=ANSWER_SECONDS).values()
        return {
            (each.topic, each.partition): each.offset
            for each in answer.result().topic_partitions or ()
            if each.error is None and each.offset != OFFSET_INVALID and each.offset >= 0
        }

"""A producer that waits until the brokers have acknowledged every message."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from schemas import metrics
from schemas.errors import DeploymentError
from streams.runtime.fencing import Written
from streams.topology import MAX_MESSAGE_BYTES

Headers = list[tuple[str, str | bytes | None]]

#: The worker ends if the brokers have not acknowledged a batch after so long.
ACKNOWLEDGED_WITHIN_SECONDS = 120.0
#: How long to wait for room in a full queue before producing is tried again.
FULL_QUEUE_SECONDS = 0.05


class AcknowledgedProducer:
    """An idempotent librdkafka producer: in order, and once per partition while the process lives.

    `options`: further properties of librdkafka (addresses, authentication).
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._producer = Producer(
            {
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 2,
                "batch.num.messages": 20_000,
                "queue.buffering.max.messages": 500_000,
                "queue.buffering.max.kbytes": 262_144,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "partitioner": "murmur2_random",
                # After a change of leaders librdkafka may find the new one only at its next refresh, by default after
                # five minutes.
                "topic.metadata.refresh.interval.ms": 10_000,
                **options,
            },
            logger=logging.getLogger("librdkafka"),
        )
        self._failure: KafkaError | None = None
        self._written: dict[tuple[str, int], Written] = {}
        #: Guards `_written`: each waiting agent has a thread, and any of these may receive the others' acknowledgements.
        self._lock = threading.Lock()

    async def send(
        self, topic: str, key: bytes, value: bytes | None, partition: int = -1, headers: Headers | None = None
    ) -> None:
        """Queue a message, once there is room. `partition` -1: by the key. Raises DeploymentError if it is too large."""
        if value is not None and len(value) > MAX_MESSAGE_BYTES:
            raise DeploymentError(
                f"the row of {key!r} for {topic} has {len(value):,} bytes; at most {MAX_MESSAGE_BYTES:,} can be sent. "
                "An id that so much belongs to is no developer's or company's: find its producer, and erase the id"
            )
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=self._delivered, headers=headers)
                return
            except BufferError:
                # The brokers are slow. The wait is in another thread, as in `acknowledged`, so that the event loop goes on.
                await asyncio.get_running_loop().run_in_executor(None, self._producer.poll, FULL_QUEUE_SECONDS)

    async def acknowledged(self) -> None:
        """Wait until the brokers have acknowledged every message. Raises DeploymentError."""
        loop = asyncio.get_running_loop()
        left = await loop.run_in_executor(None, self._producer.flush, ACKNOWLEDGED_WITHIN_SECONDS)
        if self._failure is not None:
            raise DeploymentError(f"the brokers refused a message: {self._failure.str()}")
        if left:
            raise DeploymentError(f"{left} messages were not acknowledged within {ACKNOWLEDGED_WITHIN_SECONDS:.0f} s")

    def take_written(self, topic: str, partition: int) -> Written | None:
        """The records acknowledged in a partition since the last call; None if there are none."""
        with self._lock:
            return self._written.pop((topic, partition), None)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failure = error
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is not None and partition is not None and offset is not None:
            metrics.MESSAGES_SENT.labels(topic).inc()
            with self._lock:
                known = self._written.get((topic, partition), Written(offset, offset, 0))
                self._written[topic, partition] = Written(
                    min(known.first, offset), max(known.last, offset), known.records + 1
                )

"""Sends messages again as they were, and collects what the brokers acknowledge."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from deploy.dead_letters.letters import MessageRef
from deploy.dead_letters.originals import Original
from schemas.config.settings import Settings
from streams.topology import MAX_MESSAGE_BYTES

ACKNOWLEDGED_SECONDS: Final = 120.0


class Sender:
    """An idempotent producer. Methods raise KafkaException."""

    def __init__(self, settings: Settings) -> None:
        log = logging.getLogger("firstcall.dead-letters.librdkafka")
        log.disabled = True
        self._producer = Producer(
            {
                "bootstrap.servers": settings.brokers,
                "client.id": f"{settings.app_id}-dead-letters",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "queue.buffering.max.kbytes": 65_536,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "message.timeout.ms": int(ACKNOWLEDGED_SECONDS * 1000),
                **settings.kafka_options.for_librdkafka(),
            },
            # Failures come back through `flush`; librdkafka retries the rest by itself.
            logger=log,
        )
        self._acknowledged: list[tuple[MessageRef, int]] = []
        self._failed: list[tuple[MessageRef, str]] = []

    def send(self, original: Original) -> None:
        """Queue a message with its partition, key, time and headers."""
        topic, partition, _ = ref = original.ref
        while True:
            try:
                self._producer.produce(
                    topic,
                    original.value,
                    original.key,
                    partition,
                    timestamp=original.timestamp,
                    headers=original.headers,
                    on_delivery=self._on_delivery(ref),
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def flush(self) -> tuple[list[tuple[MessageRef, int]], list[tuple[MessageRef, str]]]:
        """Wait for the brokers. Messages acknowledged since the last call with their new offsets, and failed ones with why."""
        queued = self._producer.flush(ACKNOWLEDGED_SECONDS + 5)
        assert not queued, "a message that is not acknowledged in time has failed"
        acknowledged, failed = self._acknowledged, self._failed
        self._acknowledged, self._failed = [], []
        return acknowledged, failed

    def _on_delivery(self, ref: MessageRef) -> Callable[[KafkaError | None, Message], None]:
        def note(error: KafkaError | None, message: Message) -> None:
            offset = message.offset()
            if error is not None or offset is None:
                self._failed.append((ref, error.str() if error is not None else "no offset"))
            else:
                self._acknowledged.append((ref, offset))

        return note

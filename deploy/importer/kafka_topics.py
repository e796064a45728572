"""Sends messages to the input topics of a deployment."""

from __future__ import annotations

import logging
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from deploy.importer.feed import Lost
from deploy.services import topics
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from streams.topology import INPUTS, MAX_INPUT_BYTES

DELIVERED_WITHIN_SECONDS: Final = 120.0
#: What Kafka adds to the largest message that the topics take.
_OVERHEAD_BYTES: Final = 65_536

#: librdkafka logs what it retries by itself; failures for good are in `Lost`.
_log = logging.getLogger("firstcall.import.librdkafka")
_log.disabled = True


class KafkaTopics:
    """A destination of messages: the input topics. Raises DeploymentError when one is missing, KafkaError without brokers."""

    def __init__(self, settings: Settings) -> None:
        wrong = topics.wrong_topics(settings, INPUTS)
        if wrong:
            raise DeploymentError("\n".join(wrong))
        self._settings = settings
        self._lost = 0
        self._reason = ""
        self._producer = Producer(
            {
                "bootstrap.servers": settings.brokers,
                "client.id": f"{settings.app_id}-import",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 20,
                "partitioner": "murmur2_random",
                "message.max.bytes": MAX_INPUT_BYTES + _OVERHEAD_BYTES,
                "message.timeout.ms": int(DELIVERED_WITHIN_SECONDS * 1000),
                **settings.kafka_options.for_librdkafka(),
            },
            logger=_log,
        )

    def send(self, topic: str, key: bytes | None, message: bytes) -> None:
        """Send a message. Waits while the producer's queue is full."""
        while True:
            try:
                self._producer.produce(self._settings.topic(topic), message, key, on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                # This message alone is lost, as one that is too large: the others go on.
                self._delivered(error.args[0], None)
                break
        self._producer.poll(0)

    def finish(self) -> Lost:
        left = self._producer.flush(DELIVERED_WITHIN_SECONDS + 5)
        return Lost(self._lost + left, self._reason or ("not acknowledged in time" if left else ""))

    def _delivered(self, error: KafkaError | None, _: Message | None) -> None:
        if error is not None:
            self._lost += 1
            self._reason = error.str()

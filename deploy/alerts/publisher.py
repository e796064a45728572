"""Publishes alerts on the topic `alerts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from confluent_kafka import KafkaException, Producer

from deploy.alerts.alert import Alert
from deploy.alerts.channels import public_fields
from schemas.config.settings import Settings
from streams.topology import ALERTS

#: A message that Kafka has not acknowledged in so long is an error, and is sent again with the next check.
ACKNOWLEDGED_SECONDS: Final = 30.0

#: Publishes an alert; returns when it is acknowledged.
Publish = Callable[[Alert], None]


def publisher(settings: Settings) -> Publish:
    """A function that publishes an alert, keyed by its id. It raises KafkaException."""
    producer = Producer(
        {
            "bootstrap.servers": settings.brokers,
            "client.id": f"{settings.app_id}-alerts",
            "enable.idempotence": True,
            "message.timeout.ms": int(ACKNOWLEDGED_SECONDS * 1000),
            **settings.kafka_options.for_librdkafka(),
        }
    )
    topic = settings.topic(ALERTS)

    def publish(alert: Alert) -> None:
        errors: list[Any] = []
        producer.produce(
            topic,
            key=alert.alert_id,
            value=orjson.dumps(public_fields(alert)),
            on_delivery=lambda error, _: errors.append(error),
        )
        producer.flush(ACKNOWLEDGED_SECONDS + 1)
        if not errors or errors[0] is not None:
            raise KafkaException(errors[0] if errors else "no answer")

    return publish

"""Publishes what an erasure sends: suppressions, orders to the streams, and deletions of keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from schemas.config.settings import Settings
from streams.messages.outbox import Message
from streams.normalise.suppression_list import Suppression, SuppressionList
from streams.runtime.producer import AcknowledgedProducer
from streams.runtime.suppression_feed import SuppressionFeed, message_of
from streams.topology import ERASURES


class ErasurePublisher:
    """Every method returns when the brokers have acknowledged its messages. Methods raise KafkaError and KafkaException."""

    def __init__(self, settings: Settings, secrets: Sequence[bytes]) -> None:
        self._settings = settings
        self._secrets = secrets
        self._options = {"bootstrap.servers": settings.brokers, **settings.kafka_options.for_librdkafka()}
        self._feed = SuppressionFeed(SuppressionList(secrets), settings.topic(ERASURES), self._options)

    def close(self) -> None:
        """Close the connection to the brokers."""
        self._feed.close()

    def published(self) -> SuppressionList:
        """All suppressions that are published by now."""
        self._feed.refresh()
        return self._feed.suppression_list

    def suppress(self, suppressions: Sequence[Suppression]) -> None:
        """Add suppressions to the list. A message replaces one of equal id and exemptions, so it repeats the earlier periods."""
        merged = SuppressionList(self._secrets, self.published().suppressions())
        for each in suppressions:
            merged.add(each)
        changed = {(each.kind, each.digest, *each.exempt) for each in suppressions}
        self.send(
            message_of(each) for each in merged.suppressions() if (each.kind, each.digest, *each.exempt) in changed
        )

    def send(self, messages: Iterable[Message]) -> None:
        """Publish messages."""
        self._send((message.topic, message.key, message.value) for message in messages)

    def delete_keys(self, topic: str, keys: Iterable[str]) -> None:
        """Delete keys from a compacted topic."""
        self._send((topic, key.encode(), None) for key in keys)

    def _send(self, values: Iterable[tuple[str, bytes, bytes | None]]) -> None:
        """Publish (topic, key, value). No value: the key is deleted."""

        async def send() -> None:
            producer = AcknowledgedProducer(self._options)
            for topic, key, value in values:
                await producer.send(self._settings.topic(topic), key, value)
            await producer.acknowledged()

        asyncio.run(send())

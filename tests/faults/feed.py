"""Load: a simulated population, written to the input topics while the deployment is being broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from schemas.config.settings import Settings
from tests.conftest import NOW_MS

_CHUNK_SECONDS: Final = 0.1


class Feed(threading.Thread):
    """Writes messages, so many a second (0: as fast as it can), whatever becomes of the brokers in between.

    `timestamp`: the timestamp of the messages in Kafka, in ms; 0: the time of sending.
    """

    def __init__(
        self,
        settings: Settings,
        messages: Iterable[tuple[str, bytes]],
        per_second: float = 0,
        timestamp: int = NOW_MS,
    ) -> None:
        super().__init__(name="feed", daemon=True)
        self.fed = 0
        self.refused: list[str] = []
        self._settings = settings
        self._messages = messages
        self._timestamp = timestamp
        self._chunk = max(1, round(per_second * _CHUNK_SECONDS)) if per_second else 0
        self._hurry = threading.Event()
        self._quit = threading.Event()

    def run(self) -> None:
        # A producer that gives up after some time would make a loss of its own. Messages are sent twice now and then.
        options = {"bootstrap.servers": self._settings.brokers, "linger.ms": 5, "message.timeout.ms": 0, "acks": "all"}
        producer = Producer(options)
        for topic, value in self._messages:
            while not self._quit.is_set():
                try:
                    producer.produce(
                        self._settings.topic(topic), value, timestamp=self._timestamp, on_delivery=self._delivered
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
            if self._quit.is_set():
                return
            self.fed += 1
            if self._chunk and self.fed % self._chunk == 0 and not self._hurry.is_set():
                producer.poll(0)
                time.sleep(_CHUNK_SECONDS)
        while producer.flush(1) and not self._quit.is_set():
            pass

    def finish(self) -> None:
        """Write the rest at once, and wait until the brokers have it."""
        self._hurry.set()
        self.join()
        assert not self.refused, self.refused[:3]

    def stop(self) -> None:
        """End, wherever it is."""
        self._quit.set()
        self.join(30)

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self.refused.append(error.str())

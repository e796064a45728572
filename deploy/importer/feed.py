"""Feeds events to the input topics: from a file, from standard input or from the simulated population."""

from __future__ import annotations

import gzip
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.config.settings import Settings
from schemas.event import Event, Source
from streams.normalise.normaliser import Normaliser
from streams.topology import API_EVENTS, MAX_INPUT_BYTES, WEB_EVENTS, source_of

TOPIC_OF_SOURCE: Final[dict[Source, str]] = {"web": WEB_EVENTS, "api": API_EVENTS}

#: How many examples of each fault are told with their line numbers.
EXAMPLES: Final = 5
DELIVERED_WITHIN_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Lost:
    """How many messages did not arrive, and why the last of them."""

    messages: int
    reason: str


@dataclass
class Summary:
    """What became of the lines.

    `sent` by topic. `undecodable` lines are no JSON objects and were not sent. `refused` ones were sent, and will be found
    in `dead_letters`. `lost` ones did not arrive. Each fault with the numbers of its first lines.
    """

    sent: Counter[str] = field(default_factory=Counter)
    undecodable: int = 0
    undecodable_lines: list[tuple[int, str]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    refused_lines: dict[str, list[int]] = field(default_factory=dict)
    lost: Lost = Lost(0, "")


def _unheard() -> logging.Logger:
    log = logging.getLogger("firstcall.replay.librdkafka")
    log.disabled = True
    return log


class Destination(Protocol):
    """Where messages go. Topics are named without the deployment's prefix."""

    def send(self, topic: str, key: bytes | None, message: bytes) -> None:
        """Take a message; it may wait."""

    def finish(self) -> Lost:
        """Wait until all messages have arrived, and say what did not."""


class KafkaTopics:
    """The input topics of the deployment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lost = 0
        self._reason = ""
        self._producer = Producer(
            {
                "bootstrap.servers": settings.brokers,
                "client.id": f"{settings.app_id}-replay",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 20,
                "partitioner": "murmur2_random",
                # As large as the topics take, and room for what Kafka puts around it.
                "message.max.bytes": MAX_INPUT_BYTES + 65_536,
                "message.timeout.ms": int(DELIVERED_WITHIN_SECONDS * 1000),
                **settings.kafka_options.for_librdkafka(),
            },
            # What fails for good is told by `finish`; what librdkafka mends by itself concerns nobody.
            logger=_unheard(),
        )

    def send(self, topic: str, key: bytes | None, message: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._settings.topic(topic), message, key, on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                # Only this one: it is told in the end, and the others go on.
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


class Feeder:
    """Sends event after event, keyed by its alias, so that the events of one alias stay together.

    An API key never leaves the process as a message key: the key is its hash. `source`: which topic an event goes to that
    does not say whether it is from the web or the API.
    """

    def __init__(self, destination: Destination, normaliser: Normaliser, source: Source = "web") -> None:
        self._destination = destination
        self._normaliser = normaliser
        self._source: Source = source
        self._summary = Summary()

    def feed(self, number: int, line: bytes) -> None:
        """Send one line. `number` names it in the summary. Blank lines are nothing."""
        line = line.strip()
        if not line:
            return
        try:
            body = orjson.loads(line)
        except ValueError as error:
            self._undecodable(number, str(error))
            return
        if not isinstance(body, dict):
            self._undecodable(number, "not a JSON object")
            return
        named = body.get("source")
        source: Source = named if named in ("web", "api") else self._source
        self.send(TOPIC_OF_SOURCE[source], line, number)

    def send(self, topic: str, message: bytes, number: int) -> None:
        """Send one message as it is. `number` names it in the summary."""
        self._destination.send(topic, self._key(number, message, source_of(topic)), message)
        self._summary.sent[topic] += 1

    def finish(self) -> Summary:
        """Wait until all that was sent has arrived."""
        self._summary.lost = self._destination.finish()
        return self._summary

    def _key(self, number: int, message: bytes, source: Source) -> bytes | None:
        aliases = set()
        for event in self._normaliser(message, source=source, recorded_at=int(time.time() * 1000)):
            if isinstance(event, Event):
                aliases.add(f"{event.alias_kind}:{event.alias}")
            else:
                self._summary.refused[event.reason] += 1
                examples = self._summary.refused_lines.setdefault(event.reason, [])
                if len(examples) < EXAMPLES:
                    examples.append(number)
        # A batch of several people's events lies anywhere: the streams take it apart.
        return aliases.pop().encode() if len(aliases) == 1 else None

    def _undecodable(self, number: int, reason: str) -> None:
        self._summary.undecodable += 1
        if len(self._summary.undecodable_lines) < EXAMPLES:
            self._summary.undecodable_lines.append((number, reason))


@dataclass(frozen=True)
class Lines:
    """Lines to read. `size` in bytes of the file as it lies on disk, None for standard input; `position` therein."""

    stream: Iterable[bytes]
    size: int | None
    position: Callable[[], int]


@contextmanager
def open_lines(path: Path | None) -> Iterator[Lines]:
    """The lines of a file, of a gzipped one, or of standard input where there is no path. Raises OSError."""
    if path is None:
        yield Lines(sys.stdin.buffer, None, lambda: 0)
        return
    with path.open("rb") as file:
        stream: Iterable[bytes] = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        yield Lines(stream, path.stat().st_size, file.tell)


def report(summary: Summary) -> Iterable[str]:
    """The summary, a line for each thing to know."""
    total = summary.sent.total()
    topics = ", ".join(f"{count:,} to {topic}" for topic, count in sorted(summary.sent.items()))
    yield f"Sent {total:,} messages{f': {topics}' if topics else ''}."
    if summary.undecodable:
        lines = (
            "1 line is no JSON object and was"
            if summary.undecodable == 1
            else f"{summary.undecodable:,} lines are no JSON objects and were"
        )
        yield f"{lines} not sent:"
        for number, reason in summary.undecodable_lines:
            yield f"  line {number}: {reason}"
    if summary.refused:
        total = summary.refused.total()
        yield f"{total:,} event{'s' if total > 1 else ''} will be refused; see `firstcall dead-letters list`:"
        for reason, count in summary.refused.most_common():
            numbers = ", ".join(map(str, summary.refused_lines[reason]))
            yield f"  {reason}: {count:,}, first in line {numbers}"
    if summary.lost.messages:
        yield f"{summary.lost.messages:,} messages did not arrive: {summary.lost.reason}. Sending all again does no harm."

"""Replays refused messages once their fault, or that of this program, is mended.

A message of an input topic is sent again as it is: same key, partition, time and headers, so that it is the same event,
whatever of it was accepted before and however often it is sent. A row that ClickHouse refused is written again from the
topic of rows, unless a later one has taken its place. Only then the dead letters are marked, so that an interrupted
replay is just begun anew. What is erased stays void.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from deploy.dead_letters.letters import Letters, MessageRef, Refused, What
from deploy.dead_letters.originals import Original, Originals
from schemas.config.settings import Settings
from schemas.event import Event, Rejected, Source
from sinks.insert import RowWriter
from sinks.message_rows import TABLE_BY_TOPIC, Sink
from streams.normalise.normaliser import Normaliser
from streams.topology import INPUTS, MAX_MESSAGE_BYTES, source_of

ACKNOWLEDGED_SECONDS: Final = 120.0
#: How many examples of each outcome are told.
EXAMPLES: Final = 3
_CALL: Final = re.compile(r"(?:batch)?\[(\d+)\]")

#: Messages of one partition, to be read one after the other.
_Group = tuple[tuple[str, int, What], list[Refused]]


@dataclass
class Summary:
    """What became of the messages. `left`: those that were not replayed, by why, with a few of their places."""

    sent: int = 0
    written: int = 0
    left: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[MessageRef]] = field(default_factory=dict)

    def leave(self, place: MessageRef, why: str) -> None:
        """Note a message that is not replayed."""
        self.left[why] += 1
        examples = self.examples.setdefault(why, [])
        if len(examples) < EXAMPLES:
            examples.append(place)


class Replay:
    """One replay. `normaliser` says what would become of a message now, by who is erased too.

    `writer`: of the deployment's tables. Methods raise ClickHouseError, KafkaException.
    """

    def __init__(
        self,
        settings: Settings,
        letters: Letters,
        originals: Originals,
        normaliser: Normaliser,
        writer: RowWriter,
        *,
        dry_run: bool = False,
    ) -> None:
        self._letters = letters
        self._originals = originals
        self._normaliser = normaliser
        self._writer = writer
        self._sink = Sink(writer, normaliser, topic_name=settings.topic)
        self._dry_run = dry_run
        self._sources: dict[str, Source] = {settings.topic(topic.name): source_of(topic.name) for topic in INPUTS}
        self._rows = {settings.topic(name) for name in TABLE_BY_TOPIC}
        self._sender = None if dry_run else _Sender(settings)
        self.summary = Summary()

    def run(self, refused: Iterable[Refused], page: int = 1_000) -> Summary:
        """Replay messages, page by page, each marked when it is durable."""
        for some in _pages(refused, page):
            done: list[tuple[MessageRef, What, int]] = []
            for (topic, partition, what), group in _by_partition(some):
                replay = self._rows_of if what == "rows" else self._messages
                done += replay(topic, partition, {one.place.offset: one for one in group})
            if self._sender is not None:
                done += [(place, "message", offset) for place, offset in self._sender.sent(self.summary)]
            if not self._dry_run:
                self._letters.mark_replayed(done, int(time.time() * 1000))
        return self.summary

    def _messages(self, topic: str, partition: int, refused: dict[int, Refused]) -> list[tuple[MessageRef, What, int]]:
        """Send messages of an input topic; what became of them is known later."""
        if topic not in self._sources:
            for one in refused.values():
                self.summary.leave(
                    one.place, "no events: they lie on an internal topic, or on one of another deployment"
                )
            return []
        for offset, original in self._originals.at(topic, partition, sorted(refused)):
            place = refused[offset].place
            why = "gone: Kafka has deleted them" if original is None else self._still_refused(refused[offset], original)
            if why or original is None:
                self.summary.leave(place, why)
            elif self._sender is None:
                self.summary.sent += 1
            else:
                self._sender.send(original)
        return []

    def _still_refused(self, refused: Refused, original: Original) -> str:
        """Why a message would be refused again; empty if any of what was refused of it is accepted now."""
        now = self._normalised(original, original.timestamp)
        calls = {_call(field) for field in refused.fields}
        if not calls & {i for i, outcome in enumerate(now) if isinstance(outcome, Event)}:
            whole = None in calls and any(isinstance(outcome, Event) for outcome in now)
            if not whole:
                told = [now[call] for call in sorted(c for c in calls if c is not None) if call < len(now)] or now
                return "refused again: " + next(outcome.reason for outcome in told if isinstance(outcome, Rejected))
        if original.is_stamped and _times(now) != _times(self._normalised(original, int(time.time() * 1000))):
            return "without a time: the topic gives each message the time of its arrival, so a copy is another event"
        return ""

    def _normalised(self, original: Original, recorded_at: int) -> list[Event | Rejected]:
        return self._normaliser(original.value, source=self._sources[original.place.topic], recorded_at=recorded_at)

    def _rows_of(self, topic: str, partition: int, refused: dict[int, Refused]) -> list[tuple[MessageRef, What, int]]:
        """Write the rows of messages again; returns those that ClickHouse has taken."""
        if topic not in self._sources and topic not in self._rows:
            for one in refused.values():
                self.summary.leave(one.place, "no rows of this deployment")
            return []
        read = self._originals.at if topic in self._sources else self._originals.latest
        done: list[tuple[MessageRef, What, int]] = []
        for offset, original in read(topic, partition, sorted(refused)):
            place = refused[offset].place
            why = "gone: Kafka has deleted them, or a later row has taken their place"
            if original is not None:
                why = self._write(original)
            if why:
                self.summary.leave(place, why)
            else:
                self.summary.written += 1
                done.append((place, "rows", -1))
        return done

    def _write(self, original: Original) -> str:
        """Write the rows of one message, those of other calls in it too; why not, if they are refused again."""
        topic, partition, offset = original.place
        self._sink.add(topic, original.value, original.timestamp, partition, offset)
        batch = self._sink.take()
        if not batch.rows:
            return "refused again: there are no rows in them any more"
        if not self._dry_run:
            batch.write(self._writer)
        return "refused again: row_refused" if batch.refusals else ""


class _Sender:
    """Sends messages as they were, and tells which of them have arrived."""

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
            # What fails for good is told; what librdkafka mends by itself concerns nobody.
            logger=log,
        )
        self._arrived: list[tuple[MessageRef, int]] = []
        self._failed: list[tuple[MessageRef, str]] = []

    def send(self, original: Original) -> None:
        topic, partition, _ = place = original.place
        while True:
            try:
                self._producer.produce(
                    topic,
                    original.value,
                    original.key,
                    partition,
                    timestamp=original.timestamp,
                    headers=original.headers,
                    on_delivery=self._noting(place),
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def sent(self, summary: Summary) -> list[tuple[MessageRef, int]]:
        """Wait for the brokers; what has arrived, with its new offset."""
        left = self._producer.flush(ACKNOWLEDGED_SECONDS + 5)
        assert not left, "what does not arrive in time has failed"
        for place, reason in self._failed:
            summary.leave(place, f"not taken by Kafka: {reason}")
        arrived, self._arrived, self._failed = self._arrived, [], []
        summary.sent += len(arrived)
        return arrived

    def _noting(self, place: MessageRef) -> Callable[[KafkaError | None, Message], None]:
        def note(error: KafkaError | None, message: Message) -> None:
            offset = message.offset()
            if error is not None or offset is None:
                self._failed.append((place, error.str() if error is not None else "no offset"))
            else:
                self._arrived.append((place, offset))

        return note


def report(summary: Summary, *, dry_run: bool) -> Iterator[str]:
    """The summary, a line for each thing to know."""
    if summary.sent or not summary.written:
        yield f"{'Would send' if dry_run else 'Sent'} {_messages(summary.sent)} again."
    if summary.written:
        yield f"{'Would try the' if dry_run else 'Wrote the'} rows of {_messages(summary.written)} again."
    if summary.left:
        yield f"{_messages(summary.left.total())} not replayed:"
        for why, count in summary.left.most_common():
            yield f"  {count:,} {why}; as {', '.join(map(str, summary.examples[why]))}"


def _messages(count: int) -> str:
    return f"{count:,} message{'' if count == 1 else 's'}"


def _call(field: str) -> int | None:
    """Which call of a batch a dead letter is about; None: the whole message, which of one event is its only call."""
    found = _CALL.match(field)
    return int(found[1]) if found else None


def _times(outcomes: Sequence[Event | Rejected]) -> list[tuple[str, int]]:
    return [(outcome.message_id, outcome.time) for outcome in outcomes if isinstance(outcome, Event)]


def _pages(refused: Iterable[Refused], size: int) -> Iterator[list[Refused]]:
    page: list[Refused] = []
    for one in refused:
        page.append(one)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


def _by_partition(refused: Sequence[Refused]) -> Iterator[_Group]:
    """They come in the order of their places, but those of one place side by side for all that is replayed of it."""
    ordered = sorted(refused, key=lambda one: (one.place.topic, one.place.partition, one.what, one.place.offset))
    for key, group in groupby(ordered, key=lambda one: (one.place.topic, one.place.partition, one.what)):
        yield key, list(group)

"""Replays refused messages once their fault, or that of this program, is mended.

A message of an input topic is sent again with the same key, partition, time and headers. So it is the same event, whatever
part of it was accepted before and however often it is sent. A row that ClickHouse refused is written again from its topic,
unless a later row has replaced it. Only then are the dead letters marked as replayed: an interrupted replay can be run again.
Events of erased people and companies stay suppressed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from deploy.dead_letters.letters import Letters, MessageRef, Refused, What
from deploy.dead_letters.originals import Original, Originals
from deploy.dead_letters.sender import Sender
from schemas.config.settings import Settings
from schemas.event import Event, Rejected, Source
from sinks.insert import RowInserter
from sinks.message_rows import TABLE_BY_TOPIC, RowCollector
from streams.normalise.normaliser import Normaliser
from streams.topology import INPUTS, source_of

#: How many examples of each outcome are shown.
EXAMPLES: Final = 3

#: A replayed message, what of it, and its new offset; -1 for rows.
_Replayed = tuple[MessageRef, What, int]


@dataclass
class Summary:
    """What became of the messages. `left`: those that were not replayed, by why, with a few examples."""

    sent: int = 0
    written: int = 0
    left: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[MessageRef]] = field(default_factory=dict)

    def leave(self, ref: MessageRef, why: str) -> None:
        self.left[why] += 1
        examples = self.examples.setdefault(why, [])
        if len(examples) < EXAMPLES:
            examples.append(ref)


class Replay:
    """One replay. `normaliser`: as the streams have it now, suppression list included.

    `writer`: of the deployment's tables. Methods raise ClickHouseError, KafkaException.
    """

    def __init__(
        self,
        settings: Settings,
        letters: Letters,
        originals: Originals,
        normaliser: Normaliser,
        writer: RowInserter,
        *,
        dry_run: bool = False,
    ) -> None:
        self._letters = letters
        self._originals = originals
        self._normaliser = normaliser
        self._writer = writer
        self._sink = RowCollector(writer, normaliser, topic_name=settings.topic)
        self._dry_run = dry_run
        self._sources: dict[str, Source] = {settings.topic(topic.name): source_of(topic.name) for topic in INPUTS}
        self._row_topics = {settings.topic(name) for name in TABLE_BY_TOPIC}
        self._sender = None if dry_run else Sender(settings)
        self.summary = Summary()

    def run(self, pages: Iterable[list[Refused]]) -> Summary:
        """Replay messages; each page is marked as replayed when it is durable."""
        for page in pages:
            replayed: list[_Replayed] = []
            ordered = sorted(page, key=_group_key)
            for (topic, partition, what), group in groupby(ordered, key=_group_key):
                replay = self._write_rows if what == "rows" else self._send
                replayed += replay(topic, partition, {refused.ref.offset: refused for refused in group})
            replayed += self._acknowledged()
            if not self._dry_run:
                self._letters.mark_replayed(replayed, int(time.time() * 1000))
        return self.summary

    def _send(self, topic: str, partition: int, refused: dict[int, Refused]) -> list[_Replayed]:
        """Queue messages of an input topic; `_acknowledged` returns those that the brokers have taken."""
        if topic not in self._sources:
            for each in refused.values():
                self.summary.leave(
                    each.ref, "no events: they lie on an internal topic, or on one of another deployment"
                )
            return []
        for offset, original in self._originals.at(topic, partition, sorted(refused)):
            ref = refused[offset].ref
            if original is None:
                self.summary.leave(ref, "gone: Kafka has deleted them")
            elif why := self._still_refused(refused[offset].calls, original):
                self.summary.leave(ref, why)
            elif self._sender is None:
                self.summary.sent += 1
            else:
                self._sender.send(original)
        return []

    def _acknowledged(self) -> list[_Replayed]:
        if self._sender is None:
            return []
        acknowledged, failed = self._sender.flush()
        for ref, reason in failed:
            self.summary.leave(ref, f"not taken by Kafka: {reason}")
        self.summary.sent += len(acknowledged)
        return [(ref, "message", new_offset) for ref, new_offset in acknowledged]

    def _still_refused(self, calls: frozenset[int], original: Original) -> str:
        """Why a message would be refused again; empty if any of its refused calls is accepted now."""
        outcomes = self._normalised(original, original.timestamp)
        retried = outcomes if -1 in calls else [outcomes[call] for call in sorted(calls) if call < len(outcomes)]
        if not any(isinstance(outcome, Event) for outcome in retried):
            return "refused again: " + next(
                outcome.reason for outcome in retried or outcomes if isinstance(outcome, Rejected)
            )
        if original.is_stamped and _times(outcomes) != _times(self._normalised(original, int(time.time() * 1000))):
            return "without a time: the topic gives each message the time of its arrival, so a copy is another event"
        return ""

    def _normalised(self, original: Original, recorded_at: int) -> list[Event | Rejected]:
        return self._normaliser(original.value, source=self._sources[original.ref.topic], recorded_at=recorded_at)

    def _write_rows(self, topic: str, partition: int, refused: dict[int, Refused]) -> list[_Replayed]:
        """Write the rows of messages again; returns those that ClickHouse has taken."""
        if topic not in self._sources and topic not in self._row_topics:
            for each in refused.values():
                self.summary.leave(each.ref, "no rows of this deployment")
            return []
        read = self._originals.at if topic in self._sources else self._originals.latest
        replayed: list[_Replayed] = []
        for offset, original in read(topic, partition, sorted(refused)):
            ref = refused[offset].ref
            why = "gone: Kafka has deleted them, or a later row has taken their place"
            if original is not None:
                why = self._write(original)
            if why:
                self.summary.leave(ref, why)
            else:
                self.summary.written += 1
                replayed.append((ref, "rows", -1))
        return replayed

    def _write(self, original: Original) -> str:
        """Write the rows of one message, accepted calls included. Returns why not, if they are refused again."""
        topic, partition, offset = original.ref
        self._sink.add(topic, original.value, original.timestamp, partition, offset)
        batch = self._sink.take()
        if not batch.rows:
            return "refused again: there are no rows in them any more"
        if not self._dry_run:
            batch.write(self._writer)
        return "refused again: row_refused" if batch.refusals else ""


def report(summary: Summary, *, dry_run: bool) -> Iterator[str]:
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


def _times(outcomes: Sequence[Event | Rejected]) -> list[tuple[str, int]]:
    return [(outcome.message_id, outcome.time) for outcome in outcomes if isinstance(outcome, Event)]


def _group_key(refused: Refused) -> tuple[str, int, What]:
    """Messages of one partition are read in one pass; those and refused rows may alternate in a page."""
    return refused.ref.topic, refused.ref.partition, refused.what

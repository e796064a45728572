"""Feeds events to the input topics, from files or the simulated population, and counts what could not be sent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import orjson

from deploy.importer.lines import LineRef
from schemas.event import Event, Source
from streams.normalise.normaliser import Normaliser
from streams.normalise.repair import is_repairable, repaired, why_no_json
from streams.topology import API_EVENTS, WEB_EVENTS, source_of

TOPIC_OF_SOURCE: Final[dict[Source, str]] = {"web": WEB_EVENTS, "api": API_EVENTS}

#: How many lines are listed as examples of each fault.
EXAMPLES: Final = 5


@dataclass(frozen=True)
class Lost:
    """How many messages did not arrive, and why the last of them."""

    messages: int
    reason: str


@dataclass
class Summary:
    """What became of the lines, with the first lines of each fault.

    `sent` counts by topic. `undecodable` lines are no JSON objects and were not sent. `refused` ones were sent, and will be in
    `dead_letters`. `lost` ones were sent and did not arrive.
    """

    sent: Counter[str] = field(default_factory=Counter)
    undecodable: int = 0
    undecodable_lines: list[tuple[LineRef, str]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    refused_lines: dict[str, list[LineRef]] = field(default_factory=dict)
    lost: Lost = Lost(0, "")


class Destination(Protocol):
    """Where messages go. Topics are named without the deployment's prefix."""

    def send(self, topic: str, key: bytes | None, message: bytes) -> None:
        """Send a message; it may wait."""

    def finish(self) -> Lost:
        """Wait until all messages have arrived, and count those that have not."""


class Feeder:
    """Sends events keyed by alias, so that the events of one alias stay in one partition.

    The key of an event that names an API key is the key's hash. `source` chooses the topic of events that carry none.
    """

    def __init__(self, destination: Destination, normaliser: Normaliser, source: Source = "web") -> None:
        self._destination = destination
        self._normaliser = normaliser
        self._source: Source = source
        self._summary = Summary()

    def feed(self, line: bytes, at: LineRef) -> None:
        """Send one line to the topic of its source. Blank lines are skipped."""
        line = line.strip()
        if not line:
            return
        try:
            body = orjson.loads(repaired(line) if is_repairable(line) else line)
        except ValueError as error:
            self._undecodable(line, at, why_no_json(line, error))
            return
        if not isinstance(body, dict):
            self._undecodable(line, at, "not a JSON object")
            return
        source = body.get("source")
        self.send(TOPIC_OF_SOURCE[source if source in ("web", "api") else self._source], line, at)

    def send(self, topic: str, message: bytes, at: LineRef | None = None) -> None:
        self._destination.send(topic, self._key(message, source_of(topic), at), message)
        self._summary.sent[topic] += 1

    def finish(self) -> Summary:
        self._summary.lost = self._destination.finish()
        return self._summary

    def _key(self, message: bytes, source: Source, at: LineRef | None) -> bytes | None:
        aliases = set()
        for event in self._normaliser(message, source=source, recorded_at=int(time.time() * 1000)):
            if isinstance(event, Event):
                aliases.add(f"{event.alias_kind}:{event.alias}")
            else:
                self._summary.refused[event.reason] += 1
                examples = self._summary.refused_lines.setdefault(event.reason, [])
                if at is not None and len(examples) < EXAMPLES:
                    examples.append(at)
        # A batch with events of several aliases goes to any partition: the streams re-key its events.
        return aliases.pop().encode() if len(aliases) == 1 else None

    def _undecodable(self, line: bytes, at: LineRef, reason: str) -> None:
        """Send a line that is no event all the same: it becomes a dead letter, which shows what was lost."""
        self._destination.send(TOPIC_OF_SOURCE[self._source], None, line)
        self._summary.undecodable += 1
        if len(self._summary.undecodable_lines) < EXAMPLES:
            self._summary.undecodable_lines.append((at, reason))


def report(summary: Summary) -> Iterable[str]:
    topics = ", ".join(f"{count:,} to {topic}" for topic, count in sorted(summary.sent.items()))
    yield f"Sent {summary.sent.total():,} messages{f': {topics}' if topics else ''}."
    if summary.undecodable:
        lines = (
            "1 line is no JSON object and was sent as it came, to become a dead letter"
            if summary.undecodable == 1
            else f"{summary.undecodable:,} lines are no JSON objects and were sent as they came, each to become a dead letter"
        )
        yield f"{lines}:"
        for at, reason in summary.undecodable_lines:
            yield f"  {at}: {reason}"
    if summary.refused:
        total = summary.refused.total()
        yield f"{total:,} event{'s' if total > 1 else ''} will be refused; see `firstcall dead-letters list`:"
        for reason, count in summary.refused.most_common():
            first = ", ".join(map(str, summary.refused_lines[reason]))
            yield f"  {reason}: {count:,}, first in {first}"
    if summary.lost.messages:
        yield f"{summary.lost.messages:,} messages did not arrive: {summary.lost.reason}. Sending all again does no harm."

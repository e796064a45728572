"""Dead letters: what is told of a message that is refused, in bounded space whatever it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from schemas.event import Event, Rejected
from streams.messages.outbox import PublishedRow
from streams.normalise.clock import storable, text
from streams.normalise.normaliser import ERASED
from streams.normalise.redaction import Redactor, redacted, without_keys
from streams.topology import DEAD_LETTERS

#: A batch may hold thousands of wrong calls in a few kilobytes. So many are told one by one, the rest as a number.
LETTERS_OF_A_MESSAGE: Final = 100


def letters(
    redactor: Redactor,
    place: tuple[str, int, int],
    timestamp: int,
    value: bytes | None,
    outcomes: Sequence[Event | Rejected],
) -> Iterator[PublishedRow]:
    """The dead letters of one message of an input topic: none if nothing of it was refused.

    `place`: its topic as Kafka calls it, partition and offset. `timestamp`: its own, in ms. `outcomes`: what the message
    said, call by call. What is told of a call is keyed by its place in the message, so that it is told once.
    """
    refused = [(i, outcome) for i, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)]
    if not refused:
        return
    is_erased = any(rejected.reason == ERASED for _, rejected in refused)
    payload = "" if is_erased else redactor.redacted(value)
    for i, rejected in refused[:LETTERS_OF_A_MESSAGE]:
        yield _row(place, i, rejected, payload, timestamp)
    rest = Counter(rejected.reason for _, rejected in refused[LETTERS_OF_A_MESSAGE:])
    if rest:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(rest.items()))
        more = Rejected("more", "", f"{rest.total():,} further calls of this message are refused: {reasons}")
        yield _row(place, len(outcomes), more, payload, timestamp)


def foreign_dead_letter(place: tuple[str, int, int], value: bytes | None, rejected: Rejected) -> PublishedRow:
    """The dead letter of a message on an internal topic that no part of Firstcall has written."""
    # It has no time of its own here: the table takes the one at which it is written.
    return PublishedRow(DEAD_LETTERS, _key(place, 0), _columns(place, rejected, redacted(value)))


def letter_columns(place: tuple[str, int, int], rejected: Rejected, payload: str, timestamp: int) -> dict[str, Any]:
    """A row of `dead_letter_rows`. `timestamp`: when it was refused, in ms."""
    return _columns(place, rejected, payload) | {"recorded_at": text(storable(timestamp))}


def _row(place: tuple[str, int, int], call: int, rejected: Rejected, payload: str, timestamp: int) -> PublishedRow:
    return PublishedRow(DEAD_LETTERS, _key(place, call), letter_columns(place, rejected, payload, timestamp))


def _key(place: tuple[str, int, int], call: int) -> str:
    topic, partition, offset = place
    return f"{topic}:{partition}:{offset}:{call}"


def _columns(place: tuple[str, int, int], rejected: Rejected, payload: str) -> dict[str, Any]:
    topic, partition, offset = place
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "reason": rejected.reason,
        "field": rejected.field,
        "detail": without_keys(rejected.detail),
        "call": rejected.call,
        "payload": payload,
    }

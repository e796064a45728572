"""Dead letters: the rows that report a refused message, bounded in number and size whatever the message holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from schemas.event import Event, Rejected
from streams.messages.outbox import PublishedRow
from streams.normalise.clock import storable, text
from streams.normalise.excerpt import excerpt_of, without_keys
from streams.normalise.normaliser import ERASED
from streams.normalise.redaction import Redactor
from streams.topology import DEAD_LETTERS

#: A batch may hold thousands of wrong calls in a few kilobytes. So many get a row each; one more row counts the rest.
DEAD_LETTERS_PER_MESSAGE: Final = 100

#: A message in Kafka: (topic as Kafka names it, partition, offset).
MessageRef = tuple[str, int, int]


def dead_letters_of(
    redactor: Redactor,
    ref: MessageRef,
    timestamp: int,
    value: bytes | None,
    outcomes: Sequence[Event | Rejected],
) -> Iterator[PublishedRow]:
    """The dead letters of one message of an input topic: none if nothing of it was refused.

    `timestamp`: that of the message, in ms. `outcomes`: one per call of the message. A row is keyed by the position of its
    call, so reading the message again writes the same rows.
    """
    refused = [(i, outcome) for i, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)]
    if not refused:
        return
    is_erased = any(rejected.reason == ERASED for _, rejected in refused)
    payload = "" if is_erased else excerpt_of(value, redactor)
    for i, rejected in refused[:DEAD_LETTERS_PER_MESSAGE]:
        yield _row(ref, i, rejected, payload, timestamp)
    rest = Counter(rejected.reason for _, rejected in refused[DEAD_LETTERS_PER_MESSAGE:])
    if rest:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(rest.items()))
        more = Rejected("more", "", f"{rest.total():,} further calls of this message are refused: {reasons}")
        yield _row(ref, len(outcomes), more, payload, timestamp)


def foreign_dead_letter(ref: MessageRef, value: bytes | None, rejected: Rejected) -> PublishedRow:
    """The dead letter of a message on an internal topic that no part of Firstcall has written."""
    # It has no time of its own here: the table takes the one at which it is written.
    return PublishedRow(DEAD_LETTERS, _key(ref, 0), _columns(ref, rejected, excerpt_of(value)))


def dead_letter_columns(ref: MessageRef, rejected: Rejected, payload: str, timestamp: int) -> dict[str, Any]:
    """A row of `dead_letter_rows`. `timestamp`: when it was refused, in ms."""
    return _columns(ref, rejected, payload) | {"recorded_at": text(storable(timestamp))}


def _row(ref: MessageRef, call: int, rejected: Rejected, payload: str, timestamp: int) -> PublishedRow:
    return PublishedRow(DEAD_LETTERS, _key(ref, call), dead_letter_columns(ref, rejected, payload, timestamp))


def _key(ref: MessageRef, call: int) -> str:
    topic, partition, offset = ref
    return f"{topic}:{partition}:{offset}:{call}"


def _columns(ref: MessageRef, rejected: Rejected, payload: str) -> dict[str, Any]:
    topic, partition, offset = ref
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

"""The time of an event: RFC 3339 texts to milliseconds, and Segment's correction of client clocks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from schemas.event import Rejected

#: 2000-01-01: what claims to be older is a producer's fault, not an event.
OLDEST_MS = 946_684_800_000
#: 2100-01-01. The timestamp of a message is set by its producer too; no table could hold a later one.
NEWEST_MS = 4_102_444_800_000

#: Python reads more: weeks, offsets without a colon, times without one.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_NAIVE = datetime(1970, 1, 1)  # noqa: DTZ001 - for printing: isoformat would append the offset
_DAY_MS = 86_400_000


class Times(msgspec.Struct, frozen=True, gc=False):
    """The time fields of an event as its producer wrote them; None: not given.

    `event`: when it happened. `original`: the same by the client's clock, uncorrected. `sent`: when it was sent, by the
    client's clock. `received`: when the collector got it. The fields' own names are kept for messages.
    """

    event: object = None
    original: object = None
    sent: object = None
    received: object = None
    names: tuple[str, str, str, str] = ("time", "original_timestamp", "sent_at", "received_at")


def read(times: Times, recorded_at: int, future_ms: int) -> tuple[int, int, str] | Rejected:
    """(event time, time of receipt, the time as it was given) in ms and text, or why there is none.

    With the original time, the time of sending and that of receipt, the client's clock is corrected as Segment's
    specification does: received_at - (sent_at - original). Without a receipt in the event itself there is no
    correction: the time at which a message reached Kafka is that of its delivery, and another delivery would change
    it. An event without any time takes `recorded_at`. An event may be at most `future_ms` later than its receipt,
    and its receipt than `recorded_at`, which counts as the year 2100 if it is later.
    """
    recorded_at = min(recorded_at, NEWEST_MS)
    if times.original is None and times.sent is None and times.received is None and times.event:
        # By far the most events carry one time.
        time = milliseconds(times.event)
        if time is not None and OLDEST_MS <= time <= recorded_at + future_ms:
            return time, recorded_at, str(times.event)
    given: list[int | None] = []
    for value, name in zip((times.event, times.original, times.sent, times.received), times.names, strict=True):
        if value is None or value == "":
            given.append(None)
            continue
        parsed = milliseconds(value)
        if parsed is None:
            return Rejected("wrong_time", name, f"{shown(value)} is not an RFC 3339 time with an offset")
        given.append(parsed)
    event, original, sent, received = given
    received_at = recorded_at if received is None else received
    if received_at > recorded_at + future_ms:
        return Rejected(
            "future", times.names[3], f"{text(received_at)} is after {text(recorded_at)}, when the message came"
        )
    client = original if original is not None else event
    if client is not None and sent is not None and received is not None:
        time = received - (sent - client)
    elif event is not None:
        time = event
    elif original is not None:
        time = original
    else:
        time = received_at
    if time > received_at + future_ms:
        hours = (time - received_at) / 3_600_000
        return Rejected("future", times.names[0], f"{text(time)} is {hours:.1f} hours after its receipt")
    if time < OLDEST_MS:
        return Rejected("ancient", times.names[0], f"{text(time)} is before the year 2000")
    written = times.original if original is not None else times.event
    return time, received_at, "" if written is None else str(written)


def milliseconds(value: object) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 text; None if it is none."""
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(f"{value[:-1]}Z" if value[-1] == "z" else value)
    except ValueError:
        return None
    since = moment - _EPOCH
    return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000


def shown(value: object) -> str:
    """A wrong value in a message for people: short, and never the inside of a list or an object, however deep."""
    return f"{value!r:.60}" if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def storable(time_ms: int) -> int:
    """The time, or the nearest that every table can hold: of what nobody has checked, as a message's timestamp."""
    return min(max(time_ms, 0), NEWEST_MS)


def text(time_ms: int) -> str:
    """A time as ClickHouse reads and prints it: `2026-01-02 03:04:05.678`, UTC."""
    try:
        return (_EPOCH_NAIVE + timedelta(milliseconds=time_ms)).isoformat(" ", "milliseconds")
    except OverflowError:
        return f"{time_ms} ms"

"""The time of an event: what tools write to milliseconds, and Segment's correction of client clocks."""

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
_RFC_3339 = re.compile(r"(?!0000|0001)\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)

_CLOCK = r"(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?: ?([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?"
_WRITTEN = re.compile(rf"(\d{{4}})-(\d\d)-(\d\d)(?:[Tt ]{_CLOCK})?", re.ASCII)
_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)[Tt](\d\d)(\d\d)(\d\d)()([Zz])", re.ASCII)
_NUMBER = re.compile(r"([1-9]\d{9})(?:\.(\d+))?|([1-9]\d{12})", re.ASCII)
_EXPECTED = "RFC 3339, or ten digits of seconds or thirteen of milliseconds since 1970"
_FIELDS = ("time", "original_timestamp", "sent_at", "received_at")

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


class When(msgspec.Struct, frozen=True, gc=False):
    """The time of an event and of its receipt, in ms. `given`: its time by the clock of its sender; None: not given.

    `ignored`: (field, reason) of the times that were given and hold no time.
    """

    time: int
    received_at: int
    given: int | None
    ignored: tuple[tuple[str, str], ...] = ()


def read(times: Times, recorded_at: int, future_ms: int) -> When | Rejected:
    """When the event happened, or why that is not known.

    An event time beside the original one is already corrected. Else the client's clock is corrected as Segment's
    specification does: received_at - (sent_at - time), unless it was sent before the event. Only a
    receipt in the event itself corrects or bounds it: the time at which a message reached Kafka is that of its
    delivery, and another delivery would change it. A broken time is ignored beside a good one.

    `recorded_at`, Kafka's, stands in where no time is given, and is ignored where it cannot be. An event may be at most
    `future_ms` later than its receipt, and its receipt than `recorded_at`; unknown, that is the year 2100.
    """
    is_known = OLDEST_MS <= recorded_at <= NEWEST_MS
    bound = (recorded_at if is_known else NEWEST_MS) + future_ms
    if times.original is None and times.sent is None and times.received is None and times.event:
        # By far the most events carry one time.
        time = milliseconds(times.event)
        if time is not None and OLDEST_MS <= time <= bound:
            return When(time, recorded_at if is_known else time, time)
    given: list[int | None] = []
    ignored: list[tuple[str, str]] = []
    broken = -1
    for i, value in enumerate((times.event, times.original, times.sent, times.received)):
        parsed = None
        if value is not None and value != "":
            if _is_no_time(value):
                ignored.append((_FIELDS[i], "empty"))
            else:
                parsed = milliseconds(value)
                if parsed is None:
                    ignored.append((_FIELDS[i], "wrong_time"))
                    broken = i if broken < 0 else broken
        given.append(parsed)
    event, original, sent, received = given
    if broken >= 0 and event is None and original is None and received is None:
        value = (times.event, times.original, times.sent, times.received)[broken]
        return Rejected("wrong_time", times.names[broken], f"{shown(value)} is no time: {_EXPECTED}")
    if received is not None and received > bound:
        came = f"{text(recorded_at)}, when the message came" if is_known else "the year 2100"
        return Rejected("future", times.names[3], f"{text(received)} is after {came}")
    client = event if event is not None else original
    if client is None:
        time = received if received is not None else _stand_in(recorded_at, sent)
        if time is None:
            detail = "neither the event nor its message has a time that can be: send one"
            return Rejected("missing", times.names[0], detail)
    elif (event is not None and original is not None) or sent is None or received is None or sent < client:
        time = client
    else:
        time = received - (sent - client)
    latest = received + future_ms if received is not None else bound
    if time > latest:
        hours = (time - latest + future_ms) / 3_600_000
        detail = (
            f"is {hours:.1f} hours after its receipt" if is_known or received is not None else "is after the year 2100"
        )
        return Rejected("future", times.names[0 if event is not None else 1], f"{text(time)} {detail}")
    if received is not None:
        time = min(time, received)
    if time < OLDEST_MS:
        name = times.names[0 if event is not None or client is None else 1]
        return Rejected("ancient", name, f"{text(time)} is before the year 2000")
    if received is None:
        received = recorded_at if is_known else time
    return When(time, received, original if original is not None else event, tuple(ignored))


def _stand_in(recorded_at: int, sent: int | None) -> int | None:
    """The time of an event without its own: Kafka's, which some producers write in seconds; else that of its sending."""
    for time in (recorded_at, recorded_at * 1000):
        if OLDEST_MS <= time <= NEWEST_MS:
            return time
    return sent


def _is_no_time(value: object) -> bool:
    """Whether it is what databases, Go and .NET write where there is no time."""
    if type(value) is str:
        return value.lstrip().startswith(("0000-00-00", "0001-"))
    return type(value) in (int, float) and value == 0


def milliseconds(value: object) -> int | None:
    """Milliseconds since 1970 of a time as RFC 3339 or as tools write it, without an offset in UTC; None if it is none.

    Beside RFC 3339 it reads dates (their midnight), times without seconds, offsets without a colon, UTC and GMT, and
    numbers or texts of ten digits (seconds, with a fraction or without) or thirteen (milliseconds).
    """
    if type(value) is str and _RFC_3339.fullmatch(value):
        try:
            since = datetime.fromisoformat(f"{value[:-1]}Z" if value[-1] == "z" else value) - _EPOCH
        except ValueError:
            return _written(value)
        return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
    if type(value) is str:
        return _written(value.strip())
    if type(value) is int:
        return _since_1970(value, value)
    if type(value) is float and abs(value) < 10**13:
        return _since_1970(int(value), round(value * 1000) if value < 10**10 else value)
    return None


def _since_1970(whole: int, exact: float) -> int | None:
    if 10**9 <= whole < 10**10:
        return whole * 1000 if exact == whole else int(exact)
    return int(exact) if 10**12 <= whole < 10**13 else None


def _written(value: str) -> int | None:
    number = _NUMBER.fullmatch(value)
    if number:
        seconds, fraction, thousandths = number.groups()
        return int(thousandths) if thousandths else int(seconds) * 1000 + _thousandths(fraction)
    parts = _BASIC.fullmatch(value) or _WRITTEN.fullmatch(value)
    if not parts:
        return None
    year, month, day, hour, minute, second, fraction, offset = parts.groups()
    leap = second == "60"
    try:
        clock = int(hour or 0), int(minute or 0), 59 if leap else int(second or 0)
        since = datetime(int(year), int(month), int(day), *clock, tzinfo=UTC) - _EPOCH
    except ValueError:
        return None
    seconds_since = since.days * 86_400 + since.seconds + leap
    if offset and offset[0] in "+-":
        hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
        if hours > 23 or minutes > 59:
            return None
        seconds_since -= (hours * 3600 + minutes * 60) * (-1 if offset[0] == "-" else 1)
    return seconds_since * 1000 + (0 if leap else _thousandths(fraction))


def _thousandths(fraction: str | None) -> int:
    return int(((fraction or "") + "000")[:3])


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

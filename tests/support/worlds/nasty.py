"""Hypothesis strategies for worlds that no producer would send on purpose."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.support.reference import Record
from tests.support.worlds.builders import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    SECOND,
    Message,
    batch,
    clock,
    event,
    record,
    segment,
)
from tests.support.worlds.casts import CASTS, DRAFTS, LONG, SEGMENT_FIELDS, Cast, Draft

#: Records that are no events under any configuration, with the reason and the field.
REJECTS = [
    (Record("web", b"{broken", MONDAY), "not_json", ""),
    (Record("api", b"", MONDAY), "empty", ""),
    (Record("api", b"12", MONDAY), "not_an_object", ""),
    (Record("web", b'{"name": "\xff"}', MONDAY), "no_identifier", ""),
    (Record("web", {"name": "Signed Up"}, MONDAY), "no_identifier", ""),
    (Record("web", {"anonymous_id": "a1", "properties": {}}, MONDAY), "missing", "name"),
    (Record("web", {"name": "Signed Up", "anonymous_id": ""}, MONDAY), "no_identifier", ""),
    (Record("web", {"type": "imagine", "name": "Signed Up", "anonymous_id": "a1"}, MONDAY), "unknown_type", "type"),
    (Record("web", {"name": "Signed Up", "anonymous_id": ["a1"]}, MONDAY), "wrong_type", "anonymous_id"),
    (Record("web", {"name": "Signed Up", "anonymous_id": LONG + "ł"}, MONDAY), "too_long", "anonymous_id"),
    (Record("web", {"name": "Signed Up", "user_id": "anonymous_id:a1"}, MONDAY), "reserved", "user_id"),
    (
        Record("web", {"name": "Signed Up", "user_id": "u1", "time": clock(MONDAY + DAY + 1)}, MONDAY),
        "future",
        "time",
    ),
    (
        Record("web", {"name": "Signed Up", "user_id": "u1", "time": "1999-12-31T23:59:59.999Z"}, MONDAY),
        "ancient",
        "time",
    ),
    (Record("web", {"name": "Signed Up", "user_id": "u1", "time": "yesterday"}, MONDAY), "wrong_time", "time"),
    (Record("web", {"type": "merge", "user_id": "u1"}, MONDAY), "missing", "previous_id"),
    (Record("web", {"type": "track", "userId": "u1"}, MONDAY), "missing", "name"),
]


class _Copy(NamedTuple):
    """A second sending of the event at `position` (modulo the number of events)."""

    position: int
    how: str
    shift: int


COPIES = st.builds(
    _Copy,
    position=st.integers(0, 39),
    how=st.sampled_from(["same", "shifted", "other properties", "other name", "other company"]),
    shift=st.sampled_from([-10 * MINUTE, -1, 1, 9 * MINUTE, 49 * MINUTE]),
)


@st.composite
def worlds(
    draw: st.DrawFn,
    *,
    min_events: int = 3,
    max_events: int = 40,
    shifted_copies: bool = True,
    disagreeing_copies: bool = True,
    rejects: bool = True,
) -> list[Record]:
    """The records of a world for `small_definitions`, in no particular order.

    With `shifted_copies` some events come again with another time within the same hour and day; with
    `disagreeing_copies` some come again with another content; with `rejects` some records are no events.
    """
    size = draw(st.integers(min_events, max_events))
    messages = _messages(draw(CASTS), draw(st.lists(DRAFTS, min_size=size, max_size=size)))
    for copy in draw(st.lists(COPIES, max_size=6)):
        original = messages[copy.position % len(messages)]
        if copy.how == "same":
            messages.append(original)
        elif copy.how == "shifted":
            if shifted_copies:
                messages.append(_shifted(original, copy.shift))
        elif disagreeing_copies:
            messages.append(_disagreeing(original, copy.how))
    records = [_sent(message, time, form) for message, time, form in messages]
    if draw(st.booleans()):
        records = _batched(records)
    if rejects:
        records += draw(st.lists(st.sampled_from([one for one, _, _ in REJECTS]), max_size=3))
    return records


@st.composite
def deliveries(draw: st.DrawFn, records: list[Record], *, duplicates: bool = True) -> list[Record]:
    """The same records in another order, some of them more than once."""
    again = draw(st.lists(st.sampled_from(records), max_size=8)) if duplicates and records else []
    return draw(st.permutations([*records, *again]))


_Sending = tuple[Message, int, str]


def _pick(values: list[Any], place: int | None) -> Any:
    return None if place is None else values[place % len(values)]


def _messages(cast: Cast, drafts: list[Draft]) -> list[_Sending]:
    taken: set[tuple[str, str]] = set()
    messages = []
    for draft in drafts:
        name, kind, properties = _pick(cast.kinds, draft.kind)
        time = _pick(cast.times, draft.time)
        user, company = _pick(cast.users, draft.user), _pick(cast.companies, draft.company)
        key, session, device = (
            _pick(values, place)
            for values, place in ((cast.keys, draft.key), (cast.sessions, draft.session), (cast.devices, draft.device))
        )
        exclusion, segments = _pick(cast.exclusions, draft.exclusion) or {}, _pick(SEGMENT_FIELDS, draft.segments) or {}
        if kind != "event":
            user = user if user is not None else _pick(cast.users, draft.kind + draft.time)
        if kind == "group":
            company = company if company is not None else cast.companies[0]
        if user is None and key is None and session is None and device is None:
            device = cast.devices[0]
        alias = next(str(one) for one in (user, key, session, device) if one is not None)
        message_id = {"own": None, "absent": "", "shared": "shared"}[draft.id_style]
        if message_id == "shared":
            # One message id under several aliases is several events; under one alias it would be a copy.
            message_id = None if ("shared", alias) in taken else message_id
            taken.add(("shared", alias))
        message = event(
            name,
            time,
            type=None if kind == "event" else kind,
            message_id=message_id,
            user_id=user,
            api_key=key,
            session_token=session,
            anonymous_id=device,
            company_id=company,
            previous_id=_pick([*cast.users, *cast.devices], draft.previous) if kind == "merge" else None,
            environment=draft.environment,
            properties=properties | segments.get("properties", {}) | exclusion.get("properties", {}),
            context=(segments.get("context", {}) | exclusion.get("context", {})) or None,
            traits=(segments.get("traits", {}) | exclusion.get("traits", {})) or None,
        )
        form = "native" if draft.format == "timeless" and not message["message_id"] else draft.format
        if message_id is None:
            # The same content in two formats is two events, not two copies that differ in content.
            message["message_id"] += f"-{form}"
        if not message["message_id"]:
            del message["message_id"]
        messages.append((message, time, form))
    return messages


def _shifted(original: _Sending, shift: int) -> _Sending:
    message, time, form = original
    moved = time + shift
    # Activity and distinct days see each copy at its own time, so a copy stays within the hour and the day.
    if -(-moved // HOUR) != -(-time // HOUR) or moved // DAY != time // DAY:
        return original
    return message | {"time": clock(moved)}, moved, form


def _disagreeing(original: _Sending, how: str) -> _Sending:
    message, time, form = original
    if how == "other properties":
        return message | {"properties": message["properties"] | {"note": "again", "status": 302}}, time, form
    if how == "other company" or message.get("type"):
        return message | {"company_id": "globex"}, time, form
    return message | {"name": "Signed Up" if message["name"] != "Signed Up" else "API Call"}, time, form


def _sent(message: Message, time: int, form: str) -> Record:
    if form == "native":
        return record(message)
    if form == "timeless":
        return record({k: v for k, v in message.items() if k != "time"}, time)
    sent = segment(message, skew=-3 * DAY - 7 if form == "skewed" else None, delay=2 * SECOND)
    return record(sent)


def _batched(records: list[Record]) -> list[Record]:
    """The Segment calls of each topic as one batch."""
    result = [one for one in records if _is_native(one)]
    for topic in ("web", "api"):
        calls = [one for one in records if one.topic == topic and not _is_native(one)]
        if calls:
            message = batch(*(one.value for one in calls if isinstance(one.value, dict)))
            result.append(Record(calls[0].topic, message, max(one.timestamp_ms for one in calls)))
    return result


def _is_native(one: Record) -> bool:
    # Only native messages carry a name at the top.
    return isinstance(one.value, dict) and "name" in one.value

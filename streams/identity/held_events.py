"""The events that a web alias holds one by one, so that they can be split exactly between the people who share it.

They lie in a row a UTC day, so that one more event rewrites one day and a row stays small after years. Copies of equal
content on one day are one event, at its earliest time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from schemas.config.definitions import Limits
from streams.facts.compiled_definitions import Observation
from streams.facts.hours import day_of
from streams.messages.updates import HeldEvent
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key

#: So many copies with different contents an event may have on average before they count as automated traffic too.
COPIES_LIMIT = 10


class DayCounts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many events a day holds, without and with an API key, and how many different contents."""

    plain: int = 0
    keyed: int = 0
    contents: int = 0


class HeldDay(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The events of one UTC day."""

    events: list[HeldEvent] = []


class Received(NamedTuple):
    """What a batch brought. `days`: those touched; `changed`: those to write.

    `moved`: the time of a held event became earlier, so its owner may be another one.
    """

    days: dict[int, HeldDay]
    changed: set[int]
    events: list[HeldEvent]
    moved: bool


def receive(context: BatchContext, name: str, events: Iterable[HeldEvent]) -> Received:
    """Join events into their days. Nothing is written yet (`write`); known events are returned too.

    An interrupted batch may have written a day and not what follows from it.
    """
    by_day: dict[int, list[HeldEvent]] = {}
    for event in events:
        by_day.setdefault(day_of(event.seen.time), []).append(event)
    days: dict[int, HeldDay] = {}
    changed: set[int] = set()
    moved = False
    joined: list[HeldEvent] = []
    for day, received in by_day.items():
        held = context.rows.get(_key(name, day), HeldDay) or HeldDay()
        by_content = {_content(event): event for event in held.events}
        for event in received:
            content = _content(event)
            known = by_content.get(content)
            if known is not None:
                moved = moved or event.seen.time < known.seen.time
            both = event if known is None else _joined(known, event)
            if both is not known:
                by_content[content] = both
                changed.add(day)
            joined.append(both)
        days[day] = HeldDay(list(by_content.values()))
    return Received(days, changed, joined, moved)


def write(context: BatchContext, name: str, received: Received) -> None:
    """Write the days that changed."""
    for day in received.changed:
        context.rows.put(_key(name, day), received.days[day])


def delete(context: BatchContext, name: str, *, keyed: bool | None = None) -> None:
    """Delete all events, or only those with (or without) an API key."""
    for key, held in list(context.rows.scan(row_key(b"h", name), HeldDay)):
        kept = [] if keyed is None else [event for event in held.events if bool(event.api_key) is not keyed]
        if not kept:
            context.rows.delete(key)
        elif len(kept) < len(held.events):
            context.rows.put(key, HeldDay(kept))


def all_events(context: BatchContext, name: str, received: Received | None) -> Iterator[HeldEvent]:
    """Every event, those of `received` included."""
    replaced = {} if received is None else {_key(name, day): held for day, held in received.days.items()}
    for key, held in context.rows.scan(row_key(b"h", name), HeldDay):
        if key not in replaced:
            yield from held.events
    for held in replaced.values():
        yield from held.events


def counts_of(held: HeldDay) -> DayCounts:
    """The counts of a day: events by their hash, so that copies count once."""
    plain = {event.seen.event for event in held.events if not event.api_key}
    keyed = {event.seen.event for event in held.events if event.api_key}
    return DayCounts(len(plain), len(keyed), len(held.events))


def is_automated(limits: Limits, days: dict[int, DayCounts], *, keyed: bool) -> bool:
    """Whether there are more events with (or without) an API key than a person makes, on a day or in all."""
    counts = [day.keyed if keyed else day.plain for day in days.values()]
    if max(counts, default=0) > limits.web_alias_events_a_day or sum(counts) > limits.web_alias_events:
        return True
    contents = [day.contents for day in days.values()]
    return max(contents, default=0) > COPIES_LIMIT * limits.web_alias_events_a_day or (
        sum(contents) > COPIES_LIMIT * limits.web_alias_events
    )


def _joined(known: HeldEvent, copy: HeldEvent) -> HeldEvent:
    time, latest = min(known.seen.time, copy.seen.time), max(known.seen.latest, copy.seen.latest)
    if (time, latest) == (known.seen.time, known.seen.latest):
        return known
    return msgspec.structs.replace(known, seen=msgspec.structs.replace(known.seen, time=time, latest=latest))


def content_of(company: str, seen: Observation) -> tuple[Any, ...]:
    """All of an observation but its times; copies that agree in it are one event."""
    touch = None if seen.touch is None else tuple(sorted(seen.touch.items()))
    segments = None if seen.segments is None else tuple(sorted(seen.segments.items()))
    return (seen.event, company, seen.selectors, seen.environment, seen.uses, seen.internal, touch, segments)


def _content(event: HeldEvent) -> tuple[Any, ...]:
    return (event.session, event.api_key, *content_of(event.company, event.seen))


def _key(name: str, day: int) -> bytes:
    return row_key(b"h", name, str(day))

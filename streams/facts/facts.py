"""What is remembered of a subject's events: facts that only ever join.

Facts are a join-semilattice: `join` is commutative, associative and idempotent, so neither the order of events, nor
their duplicates, nor how they were batched can change the outcome. Every list is cut to what the definitions can ever
ask for, and every cut is safe: `cut(cut(a) join b) == cut(a join b)`.

Size: one time per selector, at most `at_least` pairs per counted selector and days per day-counted selector, one bit
per active hour between the first and the last (1.1 KB a year), the first `TOUCHES_KEPT` touches, a value per segment.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from streams.facts import hours as bitmap
from streams.facts.hours import Hours

#: How many of a subject's first touches are kept.
TOUCHES_KEPT = 5

#: (time in ms, event hash): the total order of events, the hash to tell apart those of one millisecond.
Moment = tuple[int, int]

#: (time in ms, event hash, what the touch was: campaign, source, medium, referrer, ...)
Touch = tuple[int, int, dict[str, str]]

#: (time in ms, value): the value of a segment, and when an event said so.
SegmentValue = tuple[int, str]


class Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The facts of a set of events. Selectors are numbered as in the compiled; times are ms since 1970.

    `first_seen`, `last_active`: earliest and latest time of an event that matters to any number; None: there is none.
    `firsts`: earliest time per selector. `counted`: the smallest moments per counted selector, ascending.
    `days`: the smallest days per day-counted selector, each with its earliest time.
    `hours`: active hours per environment. `internal`: some event was the own organisation's.
    `segments`: value per segment, of the first event with one, or of the last.
    """

    first_seen: int | None = None
    last_active: int | None = None
    firsts: dict[int, int] = {}
    counted: dict[int, list[Moment]] = {}
    days: dict[int, dict[int, int]] = {}
    hours: dict[str, Hours] = {}
    touches: list[Touch] = []
    internal: bool = False
    segments: dict[int, SegmentValue] = {}


NOTHING = Facts()


class Cuts(msgspec.Struct, frozen=True):
    """How many moments (or days) each counted (or day-counted) selector needs: its largest threshold.

    `latest`: the segments of which the last value is kept; of the others it is the first.
    """

    counted: dict[int, int]
    days: dict[int, int]
    latest: frozenset[int] = frozenset()


def join(a: Facts, b: Facts, cuts: Cuts) -> Facts:
    """The facts of both sets of events together; `a` itself where `b` adds nothing."""
    if a is b or b == NOTHING:
        return a
    if a == NOTHING:
        return b
    first_seen = a.first_seen
    if b.first_seen is not None and (first_seen is None or b.first_seen < first_seen):
        first_seen = b.first_seen
    last_active = a.last_active
    if b.last_active is not None and (last_active is None or b.last_active > last_active):
        last_active = b.last_active
    firsts = a.firsts
    for selector, time in b.firsts.items():
        mine = firsts.get(selector)
        if mine is None or time < mine:
            if firsts is a.firsts:
                firsts = dict(firsts)
            firsts[selector] = time
    counted = a.counted
    for selector, moments in b.counted.items():
        mine_counted = counted.get(selector)
        merged = moments if mine_counted is None else _smallest(mine_counted, moments, cuts.counted[selector])
        if merged is not mine_counted:
            if counted is a.counted:
                counted = dict(counted)
            counted[selector] = merged
    days = a.days
    for selector, times in b.days.items():
        mine_days = days.get(selector)
        merged_days = times if mine_days is None else _smallest_days(mine_days, times, cuts.days[selector])
        if merged_days is not mine_days:
            if days is a.days:
                days = dict(days)
            days[selector] = merged_days
    hours = a.hours
    for environment, active in b.hours.items():
        mine_hours = hours.get(environment)
        merged_hours = active if mine_hours is None else bitmap.union(mine_hours, active)
        if merged_hours is not mine_hours:
            if hours is a.hours:
                hours = dict(hours)
            hours[environment] = merged_hours
    touches = _first_touches(a.touches, b.touches)
    internal = a.internal or b.internal
    segments = a.segments
    for segment, said in b.segments.items():
        mine_said = segments.get(segment)
        if mine_said is None or (said > mine_said if segment in cuts.latest else said < mine_said):
            if segments is a.segments:
                segments = dict(segments)
            segments[segment] = said
    if (
        first_seen == a.first_seen
        and last_active == a.last_active
        and firsts is a.firsts
        and counted is a.counted
        and days is a.days
        and hours is a.hours
        and touches is a.touches
        and internal == a.internal
        and segments is a.segments
    ):
        return a
    return Facts(first_seen, last_active, firsts, counted, days, hours, touches, internal, segments)


def join_all(parts: Iterable[Facts], cuts: Cuts) -> Facts:
    """The facts of all parts together."""
    total = NOTHING
    for part in parts:
        total = join(total, part, cuts)
    return total


def grew(before: Facts, after: Facts, cuts: Cuts) -> bool:
    """Whether `after` holds all that `before` held: then whoever joined `before` may simply join `after`."""
    both = join(after, before, cuts)
    return both is after or both == after


def _smallest(mine: list[Moment], theirs: list[Moment], keep: int) -> list[Moment]:
    """The `keep` smallest moments of both, each event once, at its earliest time."""
    if len(mine) >= keep and theirs and theirs[0] >= mine[-1]:
        return mine
    earliest = {event: time for time, event in mine}
    changed = False
    for time, event in theirs:
        known = earliest.get(event)
        if known is None or time < known:
            earliest[event] = time
            changed = True
    if not changed:
        return mine
    merged = sorted((time, event) for event, time in earliest.items())[:keep]
    return mine if merged == mine else merged


def _smallest_days(mine: dict[int, int], theirs: dict[int, int], keep: int) -> dict[int, int]:
    """The `keep` smallest days of both, each with its earliest time, ascending."""
    changed = False
    merged = mine
    for day, time in theirs.items():
        known = merged.get(day)
        if known is None or time < known:
            if not changed:
                merged, changed = dict(mine), True
            merged[day] = time
    if not changed:
        return mine
    merged = dict(sorted(merged.items())[:keep])
    return mine if merged == mine else merged


def _first_touches(mine: list[Touch], theirs: list[Touch]) -> list[Touch]:
    """The first touches of both, each event once, at its earliest time; of those of one moment the smaller content first.

    Of copies that disagree in content at the same time, the smallest content counts.
    """
    if not theirs or theirs == mine:
        return mine
    if not mine:
        return theirs
    earliest: dict[int, tuple[int, list[tuple[str, str]]]] = {}
    for time, event, what in (*mine, *theirs):
        candidate = (time, sorted(what.items()))
        known = earliest.get(event)
        if known is None or candidate < known:
            earliest[event] = candidate
    ordered = sorted((time, what, event) for event, (time, what) in earliest.items())
    merged = [(time, event, dict(what)) for time, what, event in ordered[:TOUCHES_KEPT]]
    return mine if merged == mine else merged

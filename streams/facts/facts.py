"""Facts: what is kept of a set of events. They only ever join.

Facts are a join-semilattice: `join` is commutative, associative and idempotent, so neither the order of events, nor
their duplicates, nor how they were batched can change the outcome. Every list is cut to what the definitions can ever
ask for, and every cut is safe: `cut(cut(a) join b) == cut(a join b)`.

Size: one time per selector, at most `at_least` pairs per counted selector and days per day-counted selector, one bit
per active hour between the first and the last (1.1 KB a year), the first `TOUCHES_KEPT` touches, a value per segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from streams.facts import hours as bitmap
from streams.facts.hours import Hours

K = TypeVar("K")
V = TypeVar("V")

#: How many of a subject's first touches are kept.
TOUCHES_KEPT = 5

#: (time in ms, event hash): the total order of events, the hash orders those of one millisecond.
Moment = tuple[int, int]

#: (time in ms, event hash, what the touch was: campaign, source, medium, referrer, ...)
Touch = tuple[int, int, dict[str, str]]

#: (time in ms, value): the value of a segment, and the time of its event.
SegmentValue = tuple[int, str]


class Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The facts of a set of events. Selectors are numbered as in `CompiledDefinitions`; times are ms since 1970.

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

    def smallest_moments(self, selector: int, mine: list[Moment], theirs: list[Moment]) -> list[Moment]:
        """As many of the smallest moments as the selector needs, each event once, at its earliest time."""
        keep = self.counted[selector]
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
        merged = sorted(zip(earliest.values(), earliest, strict=True))[:keep]
        return mine if merged == mine else merged

    def smallest_days(self, selector: int, mine: dict[int, int], theirs: dict[int, int]) -> dict[int, int]:
        """As many of the smallest days as the selector needs, ascending, each with its earliest time."""
        merged = _merged(mine, theirs, _earlier)
        if merged is mine:
            return mine
        merged = dict(sorted(merged.items())[: self.days[selector]])
        return mine if merged == mine else merged

    def segment_value(self, segment: int, mine: SegmentValue, theirs: SegmentValue) -> SegmentValue:
        return theirs if (theirs > mine if segment in self.latest else theirs < mine) else mine


def join(a: Facts, b: Facts, cuts: Cuts) -> Facts:
    """The facts of both sets of events together; `a` itself where `b` adds nothing."""
    if a is b:
        return a
    # The first test alone is nearly free.
    if a.first_seen is None and a == NOTHING:
        return b
    first_seen = a.first_seen
    if b.first_seen is not None and (first_seen is None or b.first_seen < first_seen):
        first_seen = b.first_seen
    last_active = a.last_active
    if b.last_active is not None and (last_active is None or b.last_active > last_active):
        last_active = b.last_active
    firsts = _merged(a.firsts, b.firsts, _earlier) if b.firsts else a.firsts
    counted = _merged(a.counted, b.counted, cuts.smallest_moments) if b.counted else a.counted
    days = _merged(a.days, b.days, cuts.smallest_days) if b.days else a.days
    hours = _merged(a.hours, b.hours, _union) if b.hours else a.hours
    touches = _first_touches(a.touches, b.touches) if b.touches else a.touches
    internal = a.internal or b.internal
    segments = _merged(a.segments, b.segments, cuts.segment_value) if b.segments else a.segments
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
    total = NOTHING
    for part in parts:
        total = join(total, part, cuts)
    return total


def grew(before: Facts, after: Facts, cuts: Cuts) -> bool:
    """Whether `after` holds all that `before` held: then a parent that joined `before` may simply join `after`."""
    both = join(after, before, cuts)
    return both is after or both == after


def _merged(mine: dict[K, V], theirs: dict[K, V], merge: Callable[[K, V, V], V]) -> dict[K, V]:
    """Both maps, with `merge` of the values that both have; `mine` itself if nothing changes."""
    merged = mine
    for key, value in theirs.items():
        known = mine.get(key)
        joined = value if known is None else merge(key, known, value)
        if joined is not known:
            if merged is mine:
                merged = dict(mine)
            merged[key] = joined
    return merged


def _earlier(_: int, mine: int, theirs: int) -> int:
    return theirs if theirs < mine else mine  # noqa: FURB136 - half the cost of min


def _union(_: str, mine: Hours, theirs: Hours) -> Hours:
    return bitmap.union(mine, theirs)


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

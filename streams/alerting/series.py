"""Hourly series: what monitors look at.

Hours are numbered from 1970, and an hour's number is that of its end: a moment t belongs to hour ceil(t), so hour h holds
(h - 1 h, h], as everywhere in Firstcall.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

HOUR_MS: Final = 3_600_000
DAY: Final = 24
WEEK: Final = 168
#: A value that more than this part of all subjects has is not distinguished from all.
NEARLY_ALL: Final = 0.9


class Scope(NamedTuple):
    """What part of the subjects a series counts: all of them, or those with a value of a segment column."""

    segment: str = ""
    value: str = ""

    def __str__(self) -> str:
        return f"{self.segment} = {self.value or '(none)'}" if self.segment else "all"


ALL: Final = Scope()


@dataclass(frozen=True)
class Series:
    """Counts by hour, the last one that of hour `until`.

    `trials` is None for plain counts. For shares it is how many could have succeeded, and `counts` how many of them did.
    `recurring`: who is counted in one hour is likely to be counted in the next too, so hours do not vary each by itself.
    """

    until: int
    counts: Array
    trials: Array | None = None
    recurring: bool = False


class HourCount(NamedTuple):
    """How many, in one hour of one scope. `trials` is 0 for plain counts."""

    scope: Scope
    hour: int
    counted: int
    trials: int = 0


def gather(
    rows: Iterable[HourCount], until: int, hours: int, *, shares: bool, recurring: bool = False
) -> dict[Scope, Series]:
    """The series of all scopes over the `hours` hours up to `until`; an hour without a row is 0. Rows outside are left out."""
    counts: dict[Scope, Array] = {}
    trials: dict[Scope, Array] = {}
    for row in rows:
        place = row.hour - (until - hours) - 1
        if 0 <= place < hours:
            counts.setdefault(row.scope, np.zeros(hours))[place] += row.counted
            trials.setdefault(row.scope, np.zeros(hours))[place] += row.trials
    return {scope: Series(until, counts[scope], trials[scope] if shares else None, recurring) for scope in counts}


def largest(series: Mapping[Scope, Series], at_most: int) -> list[Scope]:
    """All subjects, and of each segment column the values with the most (trials, else counts), at most so many of each.

    A value that nearly all subjects have adds nothing to the series of all, and is left out.
    """
    if ALL not in series:
        return []
    volumes = {
        scope: float((each.counts if each.trials is None else each.trials).sum()) for scope, each in series.items()
    }
    found = [ALL]
    for segment in sorted({scope.segment for scope in series if scope != ALL}):
        values = sorted((-volumes[scope], scope) for scope in series if scope.segment == segment)[:at_most]
        found += [scope for volume, scope in values if -volume < NEARLY_ALL * volumes[ALL]]
    return found


def up_to(series: Mapping[Scope, Series], until: int) -> dict[Scope, Series]:
    """The series as they were after an hour."""

    def cut(each: Series) -> Series:
        later = each.until - until
        if later <= 0:
            return each
        trials = None if each.trials is None else each.trials[:-later]
        return replace(each, until=until, counts=each.counts[:-later], trials=trials)

    return {scope: cut(each) for scope, each in series.items()}

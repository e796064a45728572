"""Whether a source has fallen silent: no event for longer than chance, and than it has ever been, explains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from streams.alerting.baseline import Expectation
from streams.alerting.series import HOUR_MS

#: A gap must be longer than the longest one of the past by this factor.
BEYOND_LONGEST: Final = 1.5
MONTH_HOURS: Final = 720


@dataclass(frozen=True)
class Silence:
    """A source without events. Times are milliseconds since 1970; `probability` is that of no event in so long, without a change.

    `times_a_month`: how many gaps of such improbability chance would make in a month.
    """

    since: int
    until: int
    expected: float
    probability: float
    times_a_month: float


def listen(
    expectation: Expectation,
    *,
    hour: int,
    newest: int,
    now: int,
    longest_gap_ms: int,
    least_gap_ms: int,
    false_alarms_per_month: float,
) -> Silence | None:
    """The silence of a source whose newest event is of `newest`, or None while the gap is not long enough.

    `expectation` is that of the events received each hour up to `hour`, the last hour of it. `now` is the moment up to which
    everything received is known. Events come in bursts, so beside chance the past's longest gap is a measure.
    """
    gap = now - newest
    if gap < max(least_gap_ms, BEYOND_LONGEST * longest_gap_ms):
        return None
    expected = _expected_between(expectation, hour, newest, now)
    rate = float(expectation.mean.mean())
    if expected <= 0 or rate <= 0:
        return None
    variance = expectation.day_variance + expectation.week_variance + 1.0 / max(float(expectation.reference.sum()), 1.0)
    # Negative binomial at zero.
    probability = math.exp(-math.log1p(expected * variance) / variance)
    # Each event begins a gap, and each gap is as improbable as this one.
    times = rate * MONTH_HOURS * probability
    return Silence(newest, now, expected, probability, times) if times <= false_alarms_per_month else None


def _expected_between(expectation: Expectation, hour: int, start: int, end: int) -> float:
    """Events expected in (start, end]: by the expectation of each hour, and after its last hour by the hour a week before."""
    total = 0.0
    at = start
    while at < end:
        of = at // HOUR_MS + 1
        until = min(end, of * HOUR_MS)
        place = len(expectation.mean) - 1 - (hour - of)
        while place >= len(expectation.mean):
            place -= len(expectation.mean)
        if place >= 0:
            total += float(expectation.mean[place]) * (until - at) / HOUR_MS
        at = until
    return total

"""How a change of the clocks moves the hours of a series, which are UTC.

People live by local time: after a change by `shift` hours they do at UTC hour h what they did at h + `shift` before. Some live
elsewhere and do not change. The share that moved is estimated from the shape of the days since the change, with the level of each
day unknown, so that a drop is no move. Until the share is known well, the least that it allows is expected.

Only whole UTC days are estimated from: the result changes once a day, as habits do.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from streams.alerting.series import DAY, WEEK, Array, Series

#: The share that moved, before anything is observed: a normal distribution around one half.
PRIOR_MEAN, PRIOR_DEVIATION = 0.5, 0.5
#: The share is taken to lie within so many standard deviations of its estimate.
DEVIATIONS: Final = 2.0
#: Weeks before a change that show the usual shape, and hours after it that show the share.
WEEKS_BEFORE: Final = 8
HOURS_AFTER: Final = 4 * WEEK
#: An active token is counted for hours, so consecutive counts show less than independent ones.
RECURRING_VARIANCE: Final = 6.0
#: How much an hour of a day varies beside chance, as a relative standard deviation.
HOUR_SPREAD: Final = 0.05
ROUNDS: Final = 4
#: How far the level of a day may lie from the usual one, as a relative standard deviation: far enough for a drop.
LEVEL_DEVIATION: Final = 0.5
#: The least variance of the count of an hour.
LEAST_VARIANCE: Final = 0.25


class ClockChange(NamedTuple):
    """The clocks of some subjects change after hour `hour`, by `shift` hours: 1 in spring, -1 in autumn."""

    hour: int
    shift: int


@dataclass(frozen=True)
class Aligned:
    """A series whose hours before each change lie where the same hours lie now.

    `least`: by hour of the last week, the part of an expectation that holds whatever share has moved; 1 where there is no doubt.
    """

    series: Series
    least: Array


def align(series: Series, changes: Collection[ClockChange]) -> Aligned:
    """The series as if the clocks had always been as they are now."""
    least = np.ones(WEEK)
    hours = len(series.counts)
    places = [(hours - (series.until - change.hour), change.shift) for change in sorted(changes)]
    inside = [(at, shift) for at, shift in places if 0 < at < hours]
    whole_days = hours - 1 - (series.until - 1) % DAY
    for at, shift in inside:
        # What a change of other days moves is not taken for moved by this one. Changes of one day are nearly the same.
        end = min([at + HOURS_AFTER, whole_days, *(each for each, _ in inside if each > at + DAY)])
        series, part = _aligned(series, at, shift, end)
        least = np.minimum(least, part)
    return Aligned(series, least)


def _aligned(series: Series, at: int, shift: int, end: int) -> tuple[Series, Array]:
    """The series aligned across one change at place `at`; unchanged with less than a week before it.

    The share that moved is estimated from the hours before place `end`.
    """
    volume = series.counts if series.trials is None else series.trials
    # The place of hour 0, and whatever is days from it, begins a UTC day. Before the first event nothing is usual.
    first = max((len(volume) - series.until) % DAY, at - WEEKS_BEFORE * WEEK, int(np.argmax(volume > 0)))
    if at - first < WEEK:
        return series, np.ones(WEEK)
    usual = _usual(volume, first, at)
    moved = np.roll(usual, -shift)
    variance = RECURRING_VARIANCE if series.recurring else 1.0
    share, deviation = _moved_share(volume, at, end, usual, moved, variance)
    least = np.ones(WEEK)
    if series.trials is None:
        expected = usual + share * (moved - usual)
        low, high = max(0.0, share - DEVIATIONS * deviation), min(1.0, share + DEVIATIONS * deviation)
        smallest = np.minimum(usual + low * (moved - usual), usual + high * (moved - usual))
        part = np.divide(smallest, expected, out=np.ones(WEEK), where=expected > 0)
        places = np.arange(len(volume) - WEEK, len(volume))
        least = np.where(places >= at, part[places % WEEK], 1.0)
    trials = None if series.trials is None else _shifted(series.trials, at, shift, share)
    return replace(series, counts=_shifted(series.counts, at, shift, share), trials=trials), least


def _shifted(values: Array, at: int, shift: int, share: float) -> Array:
    """The values, those before `at` moved by `shift` hours for a share of them."""
    moved = np.roll(values[:at], -shift)
    # The hours that would come from beyond the change are those of the week before it; at the begin, of the week after.
    if shift > 0:
        moved[-shift:] = values[at - WEEK : at - WEEK + shift]
    else:
        moved[:-shift] = values[WEEK + shift : WEEK]
    return np.concatenate([values[:at] + share * (moved - values[:at]), values[at:]])


def _usual(values: Array, first: int, at: int) -> Array:
    """The usual count by place modulo WEEK, from the places `first` up to `at`."""
    places = np.arange(first, at) % WEEK
    counted = np.bincount(places, values[first:at], minlength=WEEK).astype(np.float64)
    return np.asarray(counted / np.bincount(places, minlength=WEEK), dtype=np.float64)


def _moved_share(values: Array, at: int, end: int, usual: Array, moved: Array, variance: float) -> tuple[float, float]:
    """The share of subjects whose clocks changed, and its standard deviation; of no hours, what is known before any.

    Weighted least squares in a few rounds, the level of each day being unknown too: a day of few hours, in which share and level
    cannot be separated, adds little.
    """
    if end <= at:
        return PRIOR_MEAN, PRIOR_DEVIATION
    places = np.arange(at, end)
    before, slope = usual[places % WEEK], (moved - usual)[places % WEEK]
    observed, days = values[places], (places - at) // DAY

    def daily(each: Array) -> Array:
        return np.asarray(np.bincount(days, each), dtype=np.float64)

    share, precision = PRIOR_MEAN, PRIOR_DEVIATION**-2
    for _ in range(ROUNDS):
        expected = before + share * slope
        weight = 1.0 / np.maximum(expected * variance + (HOUR_SPREAD * expected) ** 2, LEAST_VARIANCE)
        missed = observed - expected
        of_level = daily(weight * expected * slope) / (daily(weight * expected**2) + LEVEL_DEVIATION**-2)
        precision = float((daily(weight * slope**2) - of_level * daily(weight * expected * slope)).sum())
        step = float((daily(weight * slope * missed) - of_level * daily(weight * expected * missed)).sum())
        precision += PRIOR_DEVIATION**-2
        step += (PRIOR_MEAN - share) * PRIOR_DEVIATION**-2
        share = float(np.clip(share + step / precision, 0.0, 1.0))
    return share, precision**-0.5

"""What the same hours of past weeks predict, and how surely.

The prediction of an hour is the mean of the same hour of the past weeks, each brought forward by the growth between the weeks.
Its uncertainty has four parts, all as relative variances: the counts it rests on (1 / their sum), the growth's, that of whole
days (campaigns, holidays, releases), and that of whole weeks; the latter two are measured on the past itself.

Days far out of line are left out, so that neither last month's outage nor last month's campaign is expected again. Decline is
never expected: else a creeping drop would predict itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from scipy import special

from streams.alerting.series import DAY, WEEK, Array, Series

#: Growth a week is expected to lie within this, as a standard deviation of its logarithm, before anything is seen.
GROWTH_PRIOR: Final = 0.03
GROWTH_LEAST: Final = 0.0
GROWTH_MOST: Final = 0.2
#: A day that is this improbable, and this far from its expectation, is out of line.
OUT_OF_LINE_PROBABILITY: Final = 1e-4
OUT_OF_LINE_LOW, OUT_OF_LINE_HIGH = 0.65, 1.5
#: Shares of an hour of the week are drawn to the share of all hours as if so many trials had shown it.
SHARE_WEIGHT: Final = 60.0
#: Relative variance of days, or weeks, of which there are too few to measure it.
UNKNOWN_VARIANCE: Final = 0.01
#: No number of people is predicted better than this, as a relative standard deviation: releases, holidays, weather.
LEAST_SPREAD: Final = 0.02


@dataclass(frozen=True)
class Habits:
    """How a series behaves from day to day and week to week, learned up to the end of UTC day `day`.

    `growth`: logarithm of the growth a week; `growth_variance` of it. `day_variance`, `week_variance`: relative variances of whole days and
    of whole weeks beside chance. `dispersion`: variance of the sum of 1, 2, ..., DAY hours over its mean, within a day: 1 if each is
    counted by chance alone, more if who is counted once is counted for hours. `weeks`: how many there are since the first hour to learn from. `usable`: 1 for each hour up to `day`, in their order,
    that may be learned from.
    """

    day: int
    weeks: float
    growth: float
    growth_variance: float
    day_variance: float
    week_variance: float
    dispersion: Array
    usable: Array


@dataclass(frozen=True)
class Expectation:
    """What is expected of the last `WEEK` hours of a series, if nothing has changed.

    `mean` is the expected count of each hour (of a share: given the trials of that hour), and 0 where nothing is expected.
    `reference` is the number of past events that the mean of each hour rests on. `day_variance` and `week_variance` are relative
    variances, as in Habits, the latter with all that is unsure beside. `dispersion`: as in Habits.
    """

    mean: Array
    reference: Array
    observed: Array
    trials: Array | None
    day_variance: float
    week_variance: float
    dispersion: Array = field(default_factory=lambda: np.ones(DAY))

    def limited(self, part: Array) -> Expectation:
        """Only a part of the mean of each hour is expected; of hours with none of it nothing can be concluded."""
        known = part > 0
        trials = None if self.trials is None else self.trials * known
        return replace(self, mean=self.mean * part, observed=self.observed * known, trials=trials)


def habit_day(hour: int) -> int:
    """The last UTC day to learn from at an hour: a week back, so that a drop of the last days is not learned."""
    return -(-(hour - WEEK) // DAY)


def learn(series: Series, *, weeks: int, usable: Array | None = None) -> Habits:
    """The habits of a series as they are to be known at its last hour.

    `usable` is 0 for hours that may not be learned from (of earlier incidents, or before a level that was accepted). Hours before
    the first event are not learned from either. The result changes once a day.
    """
    day = habit_day(series.until)
    mask = _until_day(_usable(series, usable), series.until, day, weeks)
    past = _until_day(series.counts, series.until, day, weeks)
    known = _weeks_since_first(mask)
    if series.trials is None:
        mask = mask * _in_line(past, mask)
        growth, growth_variance = _growth(past, mask)
        ages = np.arange(len(past))[:, None]
        scaled = mask * np.exp(-growth * ages)
        usual = np.divide((past * mask).sum(axis=0), scaled.sum(axis=0), out=np.zeros(WEEK), where=mask.sum(axis=0) > 0)
        fitted = mask * usual * np.exp(-growth * ages)
        chance = fitted
    else:
        growth, growth_variance = 0.0, 0.0
        trials = _until_day(series.trials, series.until, day, weeks)
        fitted = mask * trials * _usual_share(past * mask, trials * mask)
        chance = fitted * (1 - np.divide(fitted, trials, out=np.zeros_like(fitted), where=trials > 0))
    dispersion = _dispersion(past * mask, fitted) if series.recurring else np.ones(DAY)
    day_variance, week_variance = _variances(
        past * mask, fitted, chance * dispersion[-1], mask, per_slot=series.trials is None
    )
    return Habits(day, known, growth, growth_variance, day_variance, week_variance, dispersion, mask[::-1].ravel())


def expect(series: Series, habits: Habits, usable: Array | None = None) -> Expectation:
    """The expectation of the last week's hours, by habits that were learned at `habit_day` of its last hour."""
    weeks = len(habits.usable) // WEEK
    mask = _weeks_before(_masked(series, habits, usable), weeks)
    past = _weeks_before(series.counts, weeks)
    if series.trials is not None:
        return _expect_share(series, habits, past, mask, weeks)
    ages = np.arange(1, weeks + 1)[:, None]
    scaled = mask * np.exp(-habits.growth * ages)
    exposure, reference = scaled.sum(axis=0), (past * mask).sum(axis=0)
    age = float((scaled * ages).sum() / max(scaled.sum(), 1e-9))
    return Expectation(
        mean=np.divide(reference, exposure, out=np.zeros(WEEK), where=exposure > 0),
        reference=reference,
        observed=last_week(series.counts) * (exposure > 0),
        trials=None,
        day_variance=habits.day_variance,
        week_variance=habits.week_variance + habits.growth_variance * age**2 + LEAST_SPREAD**2,
        dispersion=habits.dispersion,
    )


def _expect_share(series: Series, habits: Habits, past: Array, mask: Array, weeks: int) -> Expectation:
    assert series.trials is not None
    tried = _weeks_before(series.trials, weeks) * mask
    now = last_week(series.trials)
    return Expectation(
        mean=now * _usual_share(past * mask, tried),
        # The share of any hour rests on those of all hours: on its part of all that succeeded.
        reference=np.full(WEEK, float((past * mask).sum()) / WEEK),
        observed=last_week(series.counts),
        trials=now,
        day_variance=habits.day_variance,
        week_variance=habits.week_variance + LEAST_SPREAD**2,
    )


def _usual_share(succeeded: Array, tried: Array) -> Array:
    """The share of each hour of the week, drawn to that of all hours."""
    overall = float(succeeded.sum() / max(tried.sum(), 1.0))
    return np.asarray((succeeded.sum(axis=0) + SHARE_WEIGHT * overall) / (tried.sum(axis=0) + SHARE_WEIGHT))


def _usable(series: Series, usable: Array | None) -> Array:
    """1 for each hour that may be learned from: those after the hour of the first event, which may be there in part only."""
    given = np.ones_like(series.counts) if usable is None else usable.copy()
    seen = np.flatnonzero(series.counts if series.trials is None else series.trials)
    given[: seen[0] + 1 if len(seen) else len(given)] = 0.0
    return given


def _masked(series: Series, habits: Habits, usable: Array | None) -> Array:
    """`usable`, less the days that are out of line."""
    mask = _usable(series, usable)
    # Place in the series of the first hour after the habits' days.
    end = len(mask) - (series.until - habits.day * DAY)
    first = max(0, end - len(habits.usable))
    if end > first:
        mask[first:end] *= habits.usable[len(habits.usable) - (end - first) :]
    return mask


def last_week(values: Array) -> Array:
    """The last WEEK values, missing ones 0."""
    return np.asarray(np.concatenate([np.zeros(max(0, WEEK - len(values))), values[-WEEK:]]))


def _weeks_before(values: Array, weeks: int) -> Array:
    """Shape (weeks, WEEK): the same hours as the last WEEK ones, one week back, two weeks back, ..., missing ones 0."""
    wanted = (weeks + 1) * WEEK
    padded = np.concatenate([np.zeros(max(0, wanted - len(values))), values[-wanted:]])
    return np.asarray(padded.reshape(weeks + 1, WEEK)[:-1][::-1])


def _until_day(values: Array, until: int, day: int, weeks: int) -> Array:
    """Shape (weeks, WEEK): the weeks that end with a UTC day, the latest first, missing hours 0."""
    kept = values[: max(0, len(values) - (until - day * DAY))][-weeks * WEEK :]
    padded = np.concatenate([np.zeros(weeks * WEEK - len(kept)), kept])
    return np.asarray(padded.reshape(weeks, WEEK)[::-1])


def _weeks_since_first(mask: Array) -> float:
    """Weeks from the first usable hour to the end. Hours left out since then do not count against it: other weeks have them."""
    usable = np.flatnonzero(mask[::-1].ravel())
    return (mask.size - int(usable[0])) / WEEK if len(usable) else 0.0


def _days(values: Array) -> Array:
    """Sums of whole days, shape (weeks, 7)."""
    return np.asarray(values.reshape(len(values), WEEK // DAY, DAY).sum(axis=-1))


def _in_line(past: Array, mask: Array) -> Array:
    """1 for each hour whose day is not out of line with the same weekday of the other weeks."""
    full = _days(mask) >= DAY - 0.5
    if full.sum(axis=0).min() < 3:
        return np.ones_like(mask)
    days = _days(past)
    # Weeks differ in level; a day is compared with its weekday's median after that is taken out.
    usual_day = np.maximum(np.nanmedian(np.where(full, days, np.nan), axis=0), 1e-9)
    level = np.ones((len(days), 1))
    whole = full.all(axis=1)
    level[whole] = np.median(days[whole] / usual_day, axis=1, keepdims=True)
    expected = np.maximum(level * usual_day, 1e-9)
    low = (special.pdtr(days, expected) < OUT_OF_LINE_PROBABILITY) & (days < OUT_OF_LINE_LOW * expected)
    high = (special.pdtrc(np.maximum(days - 1, 0), expected) < OUT_OF_LINE_PROBABILITY) & (
        days > OUT_OF_LINE_HIGH * expected
    )
    return np.repeat(~(full & (low | high)), DAY, axis=1).astype(np.float64)


def _growth(past: Array, mask: Array) -> tuple[float, float]:
    """Logarithm of the growth a week, and its variance: a weighted line through the weeks' logarithms, drawn to none."""
    usual = (past * mask).sum(axis=0) / np.maximum(mask.sum(axis=0), 1.0)
    expected, seen = (mask * usual).sum(axis=1), (past * mask).sum(axis=1)
    known = (expected > 0) & (seen > 0) & (mask.mean(axis=1) > 0.3)
    if known.sum() < 3:
        return 0.0, GROWTH_PRIOR**2
    y, x = np.log(seen[known] / expected[known]), -np.arange(len(past))[known].astype(np.float64)
    chance = 1.0 / seen[known]
    line = np.polyfit(x, y, 1)
    beside = max(0.0, float(((y - np.polyval(line, x)) ** 2).sum() / max(known.sum() - 2, 1) - chance.mean()))
    weight = 1.0 / (chance + beside)
    x = x - np.average(x, weights=weight)
    precision = float((weight * x * x).sum()) + 1.0 / GROWTH_PRIOR**2
    slope = float((weight * x * y).sum()) / precision
    return float(np.clip(slope, GROWTH_LEAST, GROWTH_MOST)), 1.0 / precision


def _variances(seen: Array, fitted: Array, chance: Array, mask: Array, *, per_slot: bool) -> tuple[float, float]:
    """Relative variances of whole days and of whole weeks, beside chance, by the method of moments.

    `chance`: the variance of each hour by chance alone. `per_slot`: each hour of the week was fitted by itself, which brings a
    day nearer to its fit by one part in the number of weeks.
    """
    days, expected = _days(seen), _days(fitted)
    # Parts of days and weeks vary for other reasons.
    known = (expected > 0) & (_days(mask) >= 0.75 * DAY)
    weeks = np.broadcast_to(np.maximum(known.sum(axis=0, keepdims=True), 1), days.shape)
    freedom = np.where(weeks > 1, weeks / np.maximum(weeks - 1, 1), 1.0) if per_slot else np.ones_like(days)
    day = _moment(days[known], expected[known], _days(chance)[known], freedom[known])
    week_seen, week_expected, week_chance = seen.sum(axis=1), fitted.sum(axis=1), chance.sum(axis=1)
    there = (week_expected > 0) & (mask.sum(axis=1) >= 0.5 * WEEK)
    count = int(there.sum())
    week = _moment(
        week_seen[there], week_expected[there], week_chance[there], np.full(count, count / max(count - 2, 1))
    )
    # A week of days that vary on their own varies by a seventh of them.
    return day, max(0.0, week - day / 7)


def _dispersion(seen: Array, fitted: Array) -> Array:
    """The dispersion of sums of 1, 2, ..., DAY hours, from the autocovariance of hours within a day, shape (weeks, WEEK).

    Var(sum of n) = n c_0 + 2 sum over k < n of (n - k) c_k, all over the mean. What hours still share that lie half a day apart is
    how days vary, which is measured by itself. Less than 1 is taken for 1: that some are always there is not counted on.
    """
    residuals, expected = (seen - fitted).reshape(-1, DAY), fitted.reshape(-1, DAY)
    half = DAY // 2

    def lagged(values: Array) -> Array:
        """Sums of products of hours that lie 0, 1, ... hours apart."""
        return np.array([(values[:, : DAY - lag] * values[:, lag:]).sum() for lag in range(DAY)])

    products, squares = lagged(residuals), lagged(expected)
    of_days = products[half:].sum() / max(float(squares[half:].sum()), 1e-9)
    near = (products - of_days * squares)[:half] / np.maximum(lagged(np.sqrt(expected)), 1e-9)[:half]
    # Each hour of the week was fitted by itself, which brings it nearer to its fit by one part in the number of weeks.
    weeks = float((fitted > 0).sum()) / max(float((fitted > 0).any(axis=0).sum()), 1.0)
    near = np.concatenate([near, np.zeros(DAY - half)]) * weeks / max(weeks - 1, 1.0)
    hours = np.arange(1, DAY + 1)
    shares = np.maximum(0.0, 1.0 - np.arange(DAY)[None, :] / hours[:, None])
    shares[:, 1:] *= 2.0
    return np.asarray(np.maximum(1.0, shares @ near))


def _moment(seen: Array, expected: Array, chance: Array, freedom: Array) -> float:
    """The relative variance beside chance of counts around their expectations, weighted by the information in each one."""
    if len(seen) < 3:
        return UNKNOWN_VARIANCE
    weight = (expected / (1.0 + 0.02 * expected)) ** 2
    excess = ((seen - expected) ** 2 * freedom - chance) / expected**2
    return max(0.0, float(np.average(excess, weights=weight)))

"""Simulated hourly counts with known incidents, and the two simple rules that monitors are compared with.

A world has eight weeks of past and four weeks that are evaluated, both with hours of the day, weekends, growth, days better and worse than
others, and in the past a campaign and a holiday. The evaluated weeks hold one incident at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from streams.alerting.clock_changes import ClockChange
from streams.alerting.series import ALL, DAY, WEEK, Array, Scope, Series

PAST, EVALUATED = 8 * WEEK, 4 * WEEK
SEGMENTS = ("ads", "docs", "search", "events", "partners")

Shape = Literal["none", "sudden", "creeping", "segment", "weekend", "outage"]


@dataclass(frozen=True)
class World:
    """Counts by hour of all scopes (of shares: successes and trials), and the truth about them.

    `start`: the place of the first hour that is evaluated. `incident`: places of the hours of the incident, first and one past the last.
    `clock_changes`, `holidays`: what a calendar knows of the world.
    """

    counts: dict[Scope, Array]
    trials: dict[Scope, Array] | None
    start: int
    incident: tuple[int, int] | None
    incident_scope: Scope
    recurring: bool = False
    clock_changes: tuple[ClockChange, ...] = ()
    holidays: frozenset[int] = frozenset()

    def until(self, place: int) -> dict[Scope, Series]:
        """The series as they were known after the hour at a place."""
        first = max(0, place + 1 - (9 * WEEK))
        return {
            scope: Series(
                place + 1,
                counts[first : place + 1],
                None if self.trials is None else self.trials[scope][first : place + 1],
                self.recurring,
            )
            for scope, counts in self.counts.items()
        }


def world(
    seed: int,
    *,
    a_day: float,
    shape: Shape = "none",
    drop: float = 0.0,
    share: float | None = None,
    segments: bool = True,
    day_noise: float | None = None,
) -> World:
    """A world with so many events on a day of its first evaluated week. `share`: these are trials, so many of which succeed."""
    chance = np.random.default_rng(seed)
    hours = PAST + EVALUATED
    rate, noise = _rate(chance, a_day, day_noise)
    kept, incident = _incident(chance, shape, drop)
    parts = chance.dirichlet(np.full(len(SEGMENTS), 3.0))
    hit = int(chance.integers(0, len(SEGMENTS)))
    # A segment that is hit is one that matters.
    parts[hit] = max(parts[hit], 0.25)
    parts /= parts.sum()
    counts, trials = {}, {}
    for number, (name, part) in enumerate(zip(SEGMENTS, parts, strict=True)):
        lost = kept if shape != "segment" or number == hit else np.ones(hours)
        scope = Scope("source", name)
        if share is None:
            counts[scope] = chance.poisson(rate * part * lost).astype(np.float64)
        else:
            trials[scope] = chance.poisson(rate * part).astype(np.float64)
            daily = np.repeat(np.exp(chance.normal(0, noise / 2, hours // DAY)), DAY)
            counts[scope] = chance.binomial(trials[scope].astype(int), np.clip(share * daily * lost, 0, 1)).astype(
                np.float64
            )
    whole = {ALL: np.sum(list(counts.values()), axis=0)}
    whole_trials = {ALL: np.sum(list(trials.values()), axis=0)} if trials else None
    if segments:
        whole |= counts
        whole_trials = None if whole_trials is None else whole_trials | trials
    scope = Scope("source", SEGMENTS[hit]) if shape == "segment" else ALL
    return World(whole, whole_trials, PAST, incident, scope)


def token_world(seed: int, *, a_day: float, shape: Shape = "none", drop: float = 0.0) -> World:
    """Distinct tokens by hour, so many on a day: one that is active is so for some hours, and so in the counts of each."""
    chance = np.random.default_rng(seed)
    hours = PAST + EVALUATED
    # Each begins at an hour of the rate, and stays for 1 + Poisson(4) hours.
    rate, _ = _rate(chance, a_day, None)
    kept, incident = _incident(chance, shape, drop)
    begins = np.repeat(np.arange(hours), chance.poisson(rate))
    stays = 1 + chance.poisson(4, len(begins))
    # Of a token that is lost in the incident all hours are, whenever it began.
    luck = chance.uniform(0, 1, len(begins))
    counts = np.zeros(hours)
    for later in range(int(stays.max(initial=0))):
        at = begins + later
        there = (later < stays) & (at < hours)
        there[there] = luck[there] < kept[at[there]]
        counts += np.bincount(at[there], minlength=hours)
    return World({ALL: counts}, None, PAST, incident, ALL, recurring=True)


#: What part of its usual number of people a holiday has.
ON_HOLIDAYS: Final = 0.2


def office_world(
    seed: int, *, a_day: float, shift: int = 0, elsewhere: float = 0.0, holidays: int = 0, drop: float = 0.0
) -> World:
    """People at work from 9 to 18 of one time zone, at weekends 30 % of them, and few at other hours.

    The clocks change by `shift` hours when the evaluated weeks begin; for the part `elsewhere` they do not. So many weekdays of the
    evaluated weeks are `holidays`, and as many of the past. A drop begins in the first evaluated week, after its first day.
    """
    chance = np.random.default_rng(seed)
    hours = PAST + EVALUATED
    local = np.arange(hours, dtype=np.float64) + int(chance.integers(0, DAY))

    def usual(at: Array) -> Array:
        open_hours = (at % DAY >= 9) & (at % DAY < 18)
        return np.asarray(np.where(open_hours, 1.0, 0.03) * np.where(at // DAY % 7 >= 5, 0.3, 1.0))

    moved = (1 - elsewhere) * usual(local + shift) + elsewhere * usual(local)
    rate = np.where(np.arange(hours) < PAST, usual(local), moved)
    rate *= np.repeat(np.exp(chance.normal(0, chance.uniform(0.0, 0.08), hours // DAY)), DAY)
    rate *= a_day * 7 / rate[:WEEK].sum()
    days = local // DAY
    workdays = np.array([day for day in np.unique(days)[1:-1] if day % 7 < 5])
    chosen = np.concatenate(
        [
            chance.choice(workdays[part], holidays, replace=False)
            for part in (workdays * DAY < PAST, workdays * DAY > PAST)
        ]
    )
    closed = np.isin(days, chosen)
    rate[closed] *= ON_HOLIDAYS
    incident = None
    if drop:
        start = PAST + int(chance.integers(DAY, WEEK))
        incident = (start, hours)
        rate[start:] *= 1 - drop
    return World(
        {ALL: chance.poisson(rate).astype(np.float64)},
        None,
        PAST,
        incident,
        ALL,
        clock_changes=(ClockChange(PAST, shift),) if shift else (),
        # The number of an hour is one more than its place.
        holidays=frozenset((np.flatnonzero(closed) + 1).tolist()),
    )


@dataclass(frozen=True)
class Source:
    """A source of events. `times`: when each was received, minutes since the begin; `outage`: minutes of its begin and end."""

    times: Array
    start: int
    outage: tuple[float, float]


def source(seed: int, *, a_day: float) -> Source:
    """A source with so many events on a day, in bursts as visitors make them, that is silent for six hours once."""
    chance = np.random.default_rng(seed)
    rate, _ = _rate(chance, a_day, None)
    size = 4
    minutes = np.repeat(np.arange(len(rate)) * 60.0, chance.poisson(rate / size))
    begins = minutes + chance.uniform(0, 60, len(minutes))
    sizes = chance.geometric(1 / size, len(begins))
    # Half a minute from one event of a visit to the next.
    waits = chance.exponential(0.5, int(sizes.sum()))
    place = np.repeat(np.cumsum(sizes) - sizes, sizes)
    waited = np.cumsum(waits)
    times = np.repeat(begins, sizes) + waited - waited[place]
    began = 60.0 * (PAST + WEEK) + chance.uniform(0, 60.0 * WEEK)
    outage = (began, began + 360)
    received = (times < outage[0]) | (times >= outage[1])
    return Source(np.sort(times[received & (times < 60.0 * len(rate))]), PAST, outage)


def _rate(chance: np.random.Generator, a_day: float, day_noise: float | None) -> tuple[Array, float]:
    """The rate of each hour, and how much days vary."""
    hours = PAST + EVALUATED
    at = np.arange(hours)
    weekend = chance.uniform(0.3, 1.0)
    swing = chance.uniform(0.2, 0.8)
    peak = chance.uniform(0, 24)
    growth = chance.uniform(-0.01, 0.05)
    noise = chance.uniform(0.0, 0.08) if day_noise is None else day_noise
    rate = 1 + swing * np.cos(2 * np.pi * (at % DAY - peak) / DAY)
    rate *= np.where(at // DAY % 7 >= 5, weekend, 1.0)
    rate *= np.exp(growth * (at - PAST) / WEEK)
    rate *= np.repeat(np.exp(chance.normal(0, noise, hours // DAY)), DAY)
    rate *= a_day * WEEK / DAY / rate[PAST : PAST + WEEK].sum()
    for _ in range(chance.poisson(0.5)):
        day = chance.integers(0, PAST // DAY)
        rate[day * DAY : (day + 1) * DAY] *= chance.choice([0.5, 2.5])
    return rate, noise


def _incident(chance: np.random.Generator, shape: Shape, drop: float) -> tuple[Array, tuple[int, int] | None]:
    """What part of the rate is kept by hour, and where the incident lies: within the second evaluated week, until the end."""
    hours = PAST + EVALUATED
    kept = np.ones(hours)
    if shape == "none":
        return kept, None
    start = PAST + WEEK + int(chance.integers(0, WEEK))
    end = min(hours, start + 2 * WEEK)
    depth = drop
    if shape == "weekend":
        start = PAST + WEEK + 5 * DAY + int(chance.integers(0, DAY))
    if shape == "outage":
        depth, end = 1.0, start + int(chance.integers(4, 25))
    if shape == "creeping":
        ramp = np.clip(np.arange(end - start) / (3 * DAY), 0, 1)
        kept[start:end] -= depth * ramp
    else:
        kept[start:end] -= depth
    return kept, (start, end)


def fixed_threshold(world: World) -> Array:
    """1 where the last 24 hours hold fewer than 70 % of what 24 hours held on average in the past."""
    counts = world.counts[ALL]
    return np.asarray(_last_day(counts) < 0.7 * counts[: world.start].mean() * DAY, dtype=np.float64)


def last_week(world: World) -> Array:
    """1 where the last 24 hours hold fewer than 70 % of what the same hours held a week ago."""
    day = _last_day(world.counts[ALL])
    before = np.concatenate([day[:WEEK], day[:-WEEK]])
    return np.asarray(day < 0.7 * before, dtype=np.float64)


def _last_day(counts: Array) -> Array:
    total = np.cumsum(np.concatenate([np.zeros(DAY), counts]))
    return np.asarray(total[DAY:] - total[:-DAY])

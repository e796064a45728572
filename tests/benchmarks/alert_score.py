"""Scores the alerts on simulated worlds with known incidents: `python -m tests.benchmarks.alert_score`, or `make alerts-score`.

Seeds for tuning are below REPORTED, those for reporting from it on: the rules were chosen without these worlds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import repeat
from typing import Final

import numpy as np
from scipy import stats

from streams.alerting.baseline import Expectation
from streams.alerting.monitor import Memory, MonitorState, Opened, Rules, expectation, step
from streams.alerting.series import ALL, DAY, WEEK, Array, Series
from streams.alerting.silence import listen
from tests.benchmarks.alert_worlds import (
    EVALUATED,
    PAST,
    Shape,
    Source,
    World,
    fixed_threshold,
    last_week,
    office_world,
    source,
    token_world,
    world,
)

REPORTED: Final = 1_000_000
MONTH_HOURS: Final = 720
#: At most one false alarm in ten months of one monitor: about what it is when the default ones share the default budget.
RULES: Final = Rules(level_hours=MONTH_HOURS / 0.1)
FOUND_WITHIN: Final = WEEK


@dataclass(frozen=True)
class Case:
    """Worlds of one kind. `share`: of conversions, so many of which succeed usually."""

    title: str
    a_day: float
    shape: Shape
    drop: float
    share: float | None = None
    of_tokens: bool = False
    #: How the table names the incident, if not by its drop.
    label: str = ""
    #: Of office hours: by how much the clocks change, which part of people do not change theirs, how many holidays there are.
    office: tuple[int, float, int] | None = None
    #: False: the monitor has no calendar.
    calendar: bool = True

    def world(self, seed: int) -> World:
        if self.office is not None:
            shift, elsewhere, holidays = self.office
            made = office_world(
                seed, a_day=self.a_day, shift=shift, elsewhere=elsewhere, holidays=holidays, drop=self.drop
            )
            return made if self.calendar else replace(made, clock_changes=(), holidays=frozenset())
        if self.of_tokens:
            return token_world(seed, a_day=self.a_day, shape=self.shape, drop=self.drop)
        return world(seed, a_day=self.a_day, shape=self.shape, drop=self.drop, share=self.share)


@dataclass(frozen=True)
class Outcome:
    """Of one world: false alarms and months without an incident; hours until it was found, or None."""

    false_alarms: int
    months: float
    delay: int | None
    scope_right: bool = True


def firstcall(world: World) -> Outcome:
    """The outcome of the monitors."""
    state, memory = MonitorState(), Memory()
    rules = replace(RULES, clock_changes=world.clock_changes, holidays=world.holidays)
    begin, end = _span(world)
    false_alarms = 0
    for place in range(world.start, end):
        done = step(state, rules, world.until(place), memory)
        state = done.state
        if isinstance(done.change, Opened):
            if place >= begin and (place < begin + FOUND_WITHIN):
                right = done.change.incident.scope == world.incident_scope
                return Outcome(false_alarms, (begin - world.start) / MONTH_HOURS, place - begin + 1, right)
            false_alarms += 1
    return Outcome(false_alarms, (min(begin, end) - world.start) / MONTH_HOURS, None)


def rule(world: World, on: Array) -> Outcome:
    """The outcome of a rule that is on or off at each hour."""
    begin, _ = _span(world)
    before = on[world.start - 1 : begin]
    found = np.flatnonzero(on[begin : begin + FOUND_WITHIN])
    delay = int(found[0]) + 1 if len(found) else None
    return Outcome(int((np.diff(before) > 0).sum()), (begin - world.start) / MONTH_HOURS, delay)


def _span(world: World) -> tuple[int, int]:
    """Places of the first hour of the incident (the end, if there is none) and one past the last hour to evaluate."""
    end = len(world.counts[ALL])
    if world.incident is None:
        return end, end
    return world.incident[0], min(end, world.incident[0] + FOUND_WITHIN)


def outcomes(case: Case, seed: int) -> tuple[Outcome, Outcome, Outcome]:
    """Of Firstcall, of the fixed threshold, of last week less 30 %."""
    made = case.world(seed)
    return firstcall(made), rule(made, fixed_threshold(made)), rule(made, last_week(made))


def cases() -> Iterator[Case]:
    """All that is scored."""
    for a_day in (30, 100, 1000, 10_000):
        yield Case(f"activations, {a_day:,} a day", a_day, "none", 0.0)
    yield Case("conversions, 300 tried a day, 40 % succeed", 300, "none", 0.0, 0.4)
    for a_day in (100, 1000, 3000, 10_000):
        for drop in (0.1, 0.2, 0.3, 0.5, 0.8):
            yield Case(f"{a_day:,} a day, sudden", a_day, "sudden", drop)
    for a_day in (100, 1000):
        for shape in ("creeping", "segment", "weekend"):
            for drop in (0.3, 0.5, 0.8):
                yield Case(f"{a_day:,} a day, {shape}", a_day, shape, drop)
        yield Case(f"{a_day:,} a day, outage", a_day, "outage", 1.0)
    for drop in (0.3, 0.5, 0.8):
        yield Case("conversions, 300 tried a day, sudden", 300, "sudden", drop, 0.4)
    # Half make the first call within the usual time; of a log-normal time (sigma 1) that rises, so many fewer.
    for a_day in (100, 1000):
        yield Case(f"times to first call, {a_day:,} a day", a_day, "none", 0.0, 0.5)
    for a_day in (100, 1000):
        for rise in (1.5, 2, 4):
            drop = 1 - 2 * float(stats.norm.cdf(-np.log(rise)))
            yield Case(
                f"times to first call, {a_day:,} a day", a_day, "sudden", drop, 0.5, label=f"{rise:g} times as long"
            )
    for a_day in (100, 1000):
        yield Case(f"active tokens, {a_day:,} a day", a_day, "none", 0.0, of_tokens=True)
    for a_day in (100, 1000):
        for drop in (0.2, 0.3, 0.5, 0.8):
            yield Case(f"active tokens, {a_day:,} a day", a_day, "sudden", drop, of_tokens=True)
    yield from _calendar_cases()


def _calendar_cases() -> Iterator[Case]:
    """Office hours when clocks change, or with holidays: with the calendar and without, and drops after a change."""
    worlds = {
        "no change": (0, 0.0, 0),
        "spring": (1, 0.0, 0),
        "spring, half elsewhere": (1, 0.5, 0),
        "autumn": (-1, 0.0, 0),
        "autumn, half elsewhere": (-1, 0.5, 0),
        "two holidays": (0, 0.0, 2),
    }
    for a_day in (1000, 10_000):
        for name, office in worlds.items():
            title = f"calendar, {a_day:,} a day, {name}"
            yield Case(title, a_day, "none", 0.0, office=office)
            if name != "no change":
                yield Case(f"{title}, not configured", a_day, "none", 0.0, office=office, calendar=False)
    for name in ("no change", "spring", "autumn"):
        for drop in (0.3, 0.5):
            yield Case(f"calendar, 1,000 a day, {name}", 1000, "sudden", drop, office=worlds[name])


# Silence

LEAST_GAP: Final = 10.0
SILENT_RULES: Final = (10.0, 60.0)


def silent(a_day: float, seed: int) -> tuple[Outcome, ...]:
    """Of Firstcall, and of rules by which so many minutes without an event are a silence. The delays are minutes."""
    made = source(seed, a_day=a_day)
    counts = np.bincount((made.times // 60).astype(int), minlength=PAST + EVALUATED).astype(np.float64)
    gaps = np.diff(made.times)
    tested = np.flatnonzero((made.times[:-1] >= made.start * 60) & (gaps >= LEAST_GAP))
    spans = [(float(made.times[place]), float(made.times[place + 1])) for place in tested]
    memory = Memory()

    @cache
    def usual(hour: int) -> tuple[Expectation, float]:
        """What is expected after an hour, and the usual gap, in minutes. The last week is not learned from."""
        series = Series(hour, counts[max(0, hour - 10 * WEEK) : hour])
        _, expected = expectation(MonitorState(evaluated=hour), RULES, ALL, series, memory)
        assert expected is not None
        return expected, _usual_gap(made.times, gaps, hour - WEEK)

    def alerted_at(begin: float, end: float) -> float:
        """The minute of a gap at which it is an alert; infinity if it is none."""
        for now in np.arange(np.ceil(begin + LEAST_GAP), end):
            hour = int(now // 60)
            expected, longest = usual(hour)
            found = listen(
                expected,
                hour=hour,
                newest=int(begin * 60_000),
                now=int(now * 60_000),
                longest_gap_ms=int(longest * 60_000),
                least_gap_ms=int(LEAST_GAP * 60_000),
                false_alarms_per_month=MONTH_HOURS / RULES.level_hours,
            )
            if found is not None:
                return float(now)
        return float("inf")

    rules: list[Callable[[float, float], float]] = [
        alerted_at,
        *(lambda begin, end, wait=wait: begin + wait if begin + wait < end else float("inf") for wait in SILENT_RULES),
    ]
    outcomes = []
    for rule_ in rules:
        alerted = [(begin, rule_(begin, end)) for begin, end in spans]
        # The gap of the outage begins with the last event before it.
        false = sum(at < float("inf") for begin, at in alerted if not _is_outage(made, begin, at))
        delays = [at - made.outage[0] for begin, at in alerted if _is_outage(made, begin, at)]
        outcomes.append(Outcome(false, EVALUATED / MONTH_HOURS, round(min(delays)) if delays else None))
    return tuple(outcomes)


def _is_outage(made: Source, begin: float, at: float) -> bool:
    return begin < made.outage[1] and made.outage[0] <= at < made.outage[1]


def _usual_gap(times: Array, gaps: Array, until: int) -> float:
    """The longest gap of all days but one in twenty, as `deploy.alerts.readings` has it, in minutes."""
    ended = (times[1:] // 60).astype(int)
    known = ended < until
    longest = np.zeros(until // DAY + 1)
    np.maximum.at(longest, ended[known] // DAY, gaps[known])
    return float(np.quantile(longest, 0.95, method="lower"))


def _silences(first: int, worlds: int, pool: ProcessPoolExecutor) -> None:
    names = ("Firstcall", *(f"no event for {wait:.0f} minutes" for wait in SILENT_RULES))
    print(f"\n| source | {' | '.join(names)} |")
    print("|---" * (1 + len(names)) + "|")
    for number, a_day in enumerate((300, 1000, 10_000, 100_000)):
        seeds = range(first + 900_000 + number * 10_000, first + 900_000 + number * 10_000 + worlds)
        cells = []
        for each in zip(*pool.map(silent, repeat(a_day), seeds, chunksize=2), strict=True):
            false = sum(outcome.false_alarms for outcome in each) / sum(outcome.months for outcome in each)
            cells.append(f"{false:.2f}; {_found(each, 'min')}")
        print(f"| {a_day:,} events a day | {' | '.join(cells)} |", flush=True)


def bound(a_day: float, drop: float, false_alarms_a_month: float = 0.1) -> int:
    """Hours after which any rule at all can have found 95 % of the drops, at an even rate that is known exactly.

    The best test of two Poisson rates over w hours (Neyman and Pearson), used once every w hours, with that many false alarms.
    """
    for hours in range(1, 2000):
        mean = a_day / DAY * hours
        level = false_alarms_a_month * hours / MONTH_HOURS
        most = stats.poisson.ppf(level, mean)
        most = most if stats.poisson.cdf(most, mean) <= level else most - 1
        if most >= 0 and stats.poisson.cdf(most, mean * (1 - drop)) >= 0.95:
            return hours
    return 2000


def _line(case: Case, of: Iterable[tuple[Outcome, Outcome, Outcome]]) -> str:
    cells = []
    for each in zip(*of, strict=True):
        months = sum(outcome.months for outcome in each)
        false = sum(outcome.false_alarms for outcome in each) / months
        if case.shape == "none":
            cells.append(f"{false:.2f}")
            continue
        cells.append(_found(each, "h"))
        if not cells[1:] and case.shape == "segment" and any(outcome.delay is not None for outcome in each):
            right = np.mean([outcome.scope_right for outcome in each if outcome.delay is not None])
            cells[0] += f", segment named {100 * right:.0f} %"
    size = f" {case.label or f'{case.drop:.0%}'} |" if case.shape != "none" else ""
    return f"| {case.title} |{size} {' | '.join(cells)} |"


def _found(outcomes: Sequence[Outcome], unit: str) -> str:
    """What part was found, and the time until half of all were, and until 95 % were."""
    # What was on already when the incident began has found nothing.
    delays = [outcome.delay for outcome in outcomes if outcome.delay is not None]
    ranked = sorted(delays) + [np.inf] * (len(outcomes) - len(delays))
    times = [ranked[max(0, int(np.ceil(part * len(ranked))) - 1)] for part in (0.5, 0.95)]
    shown = ", ".join("–" if time == np.inf else f"{time:.0f} {unit}" for time in times)
    return f"{100 * len(delays) / len(outcomes):.0f} %, {shown}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--worlds", type=int, default=20, help="worlds of each kind; three times as many without incident"
    )
    parser.add_argument("--tuning", action="store_true", help="the seeds that rules are chosen on")
    parser.add_argument("--only", default="", help="kinds whose title holds this")
    given = parser.parse_args()
    first = 0 if given.tuning else REPORTED
    # A kind has the same seeds whether it is scored alone or not.
    chosen = [each for each in enumerate(cases()) if given.only in f"{each[1].title} {each[1].shape}"]
    with ProcessPoolExecutor() as pool:
        heading = ""
        for number, case in chosen:
            quiet = case.shape == "none"
            wanted = (
                "| false alarms per monitor-month |"
                if quiet
                else "| incident | drop | found within a week, half by, 95 % by |"
            )
            if wanted != heading:
                heading = wanted
                names = "Firstcall | fixed threshold | last week − 30 % |"
                print(f"\n{wanted[:-1]}| {names}" if quiet else f"\n| incident | drop | {names}")
                print("|---" * (4 if quiet else 5) + "|")
            seeds = range(first + number * 10_000, first + number * 10_000 + given.worlds * (3 if quiet else 1))
            print(_line(case, list(pool.map(outcomes, repeat(case), seeds, chunksize=4))), flush=True)
        if given.only in "silence":
            _silences(first, given.worlds, pool)
    print(
        "\n| 95 % of drops found within, at best | "
        + " | ".join(f"{drop:.0%}" for drop in (0.1, 0.2, 0.3, 0.5, 0.8))
        + " |"
    )
    print("|---" * 6 + "|")
    for a_day in (100, 1000, 3000, 10_000):
        print(f"| {a_day:,} a day | " + " | ".join(f"{bound(a_day, d)} h" for d in (0.1, 0.2, 0.3, 0.5, 0.8)) + " |")


if __name__ == "__main__":
    main()

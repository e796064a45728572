"""What one monitor knows from hour to hour: quiet, or an incident that holds until recovery.

    quiet ── evidence passes the level ──▶ incident ── evidence for the usual level ──▶ quiet, reported as recovered
                                              └────── it has lasted too long ─────────▶ quiet, reported as accepted: the new usual

`step` is a function of the state, the hour and the series, so evaluating an hour again gives the same incident, with the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from streams.alerting import evidence
from streams.alerting.baseline import Expectation, Habits, expect, habit_day, last_week, learn
from streams.alerting.clock_changes import ClockChange, align
from streams.alerting.evidence import Evidence
from streams.alerting.series import ALL, WEEK, Array, Scope, Series

#: A recovery is believed when the usual level is so many times likelier than the drop, over at least so many hours.
RECOVERY_RATIO: Final = 1000.0
RECOVERY_HOURS: Final = 6
#: How much of the evidence looks at all subjects; the rest is shared by the segments.
WEIGHT_OF_ALL: Final = 0.5


@dataclass(frozen=True)
class Rules:
    """How one monitor evaluates.

    `level_hours`: the mean time between false alarms, in hours, is at least this. `accept_after_hours`: a drop that lasts longer is
    the new usual level. `holidays`: hours of public holidays, which nothing is expected of and nothing is learned from.
    """

    level_hours: float
    weeks: int = 8
    minimum_weeks: int = 2
    minimum_expected: float = 10.0
    minimum_drop: float = 0.15
    accept_after_hours: int = 14 * 24
    clock_changes: tuple[ClockChange, ...] = ()
    holidays: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Incident:
    """A drop, as first reported. Hours are numbers of hours; the drop began after hour `started`."""

    scope: Scope
    started: int
    started_earliest: int
    started_latest: int
    detected: int
    observed: float
    expected: float
    trials: float | None
    drop: float
    probability: float
    log_strength: float


@dataclass(frozen=True)
class MonitorState:
    """What a monitor carries from hour to hour.

    `evaluated`: the last hour it has evaluated. `excluded`: spans of hours (after, up to) that belong to incidents and are not
    learned from. `level_from`: nothing before that hour is learned from. `quiet_from`: no drop is looked for before it.
    """

    evaluated: int = 0
    incident: Incident | None = None
    excluded: tuple[tuple[int, int], ...] = ()
    level_from: int = 0
    quiet_from: int = 0


@dataclass(frozen=True)
class Opened:
    incident: Incident


@dataclass(frozen=True)
class Closed:
    """An incident is over: things are as usual again since hour `ended`, or what was a drop is the usual now."""

    incident: Incident
    ended: int
    reason: Literal["recovered", "accepted", "withdrawn"]


@dataclass(frozen=True)
class MonitorStatus:
    """Where a monitor stands at an hour: `learning` (too few weeks), `quiet`, or `dropped` while an incident holds.

    `now`: the evidence on all subjects; of an incident, on its scope since its start.
    """

    condition: Literal["learning", "quiet", "dropped"]
    weeks: float
    now: Evidence | None = None


@dataclass(frozen=True)
class Transition:
    """The outcome of evaluating one hour."""

    state: MonitorState
    status: MonitorStatus
    change: Opened | Closed | None = None


class Memory:
    """Habits by scope, kept because they change once a day only. Losing it changes nothing but time."""

    def __init__(self) -> None:
        self._kept: dict[Scope, tuple[object, Habits]] = {}

    @property
    def scopes(self) -> set[Scope]:
        return set(self._kept)

    def keep_only(self, scopes: Collection[Scope]) -> None:
        """Drop the habits of all other scopes: values come and go."""
        self._kept = {scope: kept for scope, kept in self._kept.items() if scope in scopes}

    def habits(self, scope: Scope, series: Series, state: MonitorState, rules: Rules, usable: Array) -> Habits:
        key = (habit_day(series.until), state.excluded, state.incident, state.level_from)
        kept = self._kept.get(scope)
        if kept is None or kept[0] != key:
            kept = (key, learn(series, weeks=rules.weeks, usable=usable))
            self._kept[scope] = kept
        return kept[1]


def step(state: MonitorState, rules: Rules, series: Mapping[Scope, Series], memory: Memory) -> Transition:
    """Evaluate the last hour of the series. All scopes end at the same hour; `ALL` is among them unless there is nothing at all."""
    if ALL not in series:
        return Transition(state, MonitorStatus("learning", 0.0))
    hour = series[ALL].until
    state = replace(state, evaluated=hour)
    if state.incident is not None:
        return _hold(state, state.incident, rules, series, memory)
    return _look(state, rules, series, memory)


def expectation(
    state: MonitorState, rules: Rules, scope: Scope, series: Series, memory: Memory
) -> tuple[float, Expectation | None]:
    """How many weeks there are to learn from, and what a scope is expected to be; None while they are too few."""
    aligned = align(series, rules.clock_changes)
    holidays = _holidays(series, rules)
    usable = _usable(state, series) * (1.0 - holidays)
    habits = memory.habits(scope, aligned.series, state, rules, usable)
    if habits.weeks < rules.minimum_weeks:
        return habits.weeks, None
    return habits.weeks, expect(aligned.series, habits, usable).limited(aligned.least * (1.0 - last_week(holidays)))


def _look(state: MonitorState, rules: Rules, series: Mapping[Scope, Series], memory: Memory) -> Transition:
    found: dict[Scope, Evidence] = {}
    weeks, now = 0.0, None
    hours = min(WEEK, state.evaluated - max(state.quiet_from, state.level_from))
    for scope, each in series.items():
        learned, expected = expectation(state, rules, scope, each, memory)
        if expected is not None and hours > 0:
            weighed = evidence.weigh(expected, hours=hours, minimum_expected=rules.minimum_expected)
            if weighed is not None:
                found[scope] = weighed
        if scope == ALL:
            weeks, now = learned, found.get(scope)
    if ALL not in found:
        return Transition(state, MonitorStatus("learning" if weeks < rules.minimum_weeks else "quiet", weeks))
    weights = weights_of(series)
    strengths = {scope: weighed.log_strength + float(np.log(weights[scope])) for scope, weighed in found.items()}
    scope = max(strengths, key=lambda each: strengths[each])
    # Of all scopes together, each with its weight: this decides, and is reported as how rarely chance does it.
    strength = float(np.logaddexp.reduce(list(strengths.values())))
    if strength < np.log(rules.level_hours) or found[scope].drop < rules.minimum_drop:
        return Transition(
            state, MonitorStatus("quiet", weeks, replace(now, log_strength=strength) if now is not None else None)
        )
    decisive = replace(found[scope], log_strength=strength)
    incident = _incident(scope, decisive, state.evaluated)
    return Transition(replace(state, incident=incident), MonitorStatus("dropped", weeks, decisive), Opened(incident))


def _hold(
    state: MonitorState, incident: Incident, rules: Rules, series: Mapping[Scope, Series], memory: Memory
) -> Transition:
    hour = state.evaluated
    if incident.scope not in series:
        # The segment is watched no more. That is no word on its level, nor on that of all others.
        after = replace(state, incident=None, excluded=_excluded(state, rules, incident.started, hour), quiet_from=hour)
        return Transition(after, MonitorStatus("quiet", 0.0), Closed(incident, hour, "withdrawn"))
    weeks, expected = expectation(state, rules, incident.scope, series[incident.scope], memory)
    if hour - incident.started >= rules.accept_after_hours or expected is None:
        # The hours of the drop are all there is to learn the new level from.
        after = MonitorState(hour, None, (), incident.started, hour)
        return Transition(after, MonitorStatus("learning", 0.0), Closed(incident, hour, "accepted"))
    so_far = evidence.since(expected, min(WEEK, hour - incident.started))
    held = hour - incident.detected
    if held >= RECOVERY_HOURS:
        drop = max(incident.drop, so_far.drop if so_far else 0.0)
        log_ratio, hours = evidence.recovery(expected, drop=drop, hours=min(WEEK, held), at_least=RECOVERY_HOURS)
        if log_ratio >= np.log(RECOVERY_RATIO):
            ended = hour - hours
            after = replace(
                state, incident=None, excluded=_excluded(state, rules, incident.started, ended), quiet_from=ended
            )
            return Transition(after, MonitorStatus("quiet", weeks, so_far), Closed(incident, ended, "recovered"))
    return Transition(state, MonitorStatus("dropped", weeks, so_far))


def _excluded(state: MonitorState, rules: Rules, after: int, up_to: int) -> tuple[tuple[int, int], ...]:
    """The spans that nothing is learned from, with one more."""
    kept = tuple(span for span in state.excluded if span[1] > state.evaluated - (rules.weeks + 2) * WEEK)
    return (*kept, (after, up_to))


def weights_of(scopes: Mapping[Scope, object]) -> dict[Scope, float]:
    """How much the evidence of each scope weighs; all together 1."""
    segments = len(scopes) - 1
    if segments <= 0:
        return dict.fromkeys(scopes, 1.0)
    return {scope: WEIGHT_OF_ALL if scope == ALL else (1 - WEIGHT_OF_ALL) / segments for scope in scopes}


def incident_id(monitor: str, incident: Incident) -> str:
    """The id of an alert: the same for as long as it holds, however often it is found."""
    name = f"{monitor}\n{incident.scope.segment}\n{incident.scope.value}\n{incident.started}"
    return hashlib.blake2b(name.encode(), digest_size=10).hexdigest()


def _incident(scope: Scope, weighed: Evidence, hour: int) -> Incident:
    return Incident(
        scope=scope,
        started=hour - weighed.hours,
        started_earliest=hour - weighed.hours_most,
        started_latest=hour - weighed.hours_least,
        detected=hour,
        observed=weighed.observed,
        expected=weighed.expected,
        trials=weighed.trials,
        drop=weighed.drop,
        probability=weighed.probability,
        log_strength=weighed.log_strength,
    )


def _usable(state: MonitorState, series: Series) -> Array:
    usable = np.ones_like(series.counts)
    first = series.until - len(usable)
    spans = list(state.excluded)
    if state.incident is not None:
        spans.append((state.incident.started, series.until))
    for after, up_to in spans:
        usable[max(0, after - first) : max(0, up_to - first)] = 0.0
    usable[: max(0, state.level_from - first)] = 0.0
    return usable


def _holidays(series: Series, rules: Rules) -> Array:
    """1 for each hour of a public holiday."""
    found = np.zeros_like(series.counts)
    first = series.until - len(found) + 1
    found[[hour - first for hour in rules.holidays if first <= hour <= series.until]] = 1.0
    return found

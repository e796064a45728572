"""Evaluates each monitor at each closed hour, and each source at each check; carries its state over restarts.

The carried state is written before its alerts, and holds them: after a crash in between they are written again, with the same
ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np
from clickhouse_connect.driver import Client

from deploy.alerts.alert import Alert, closed, dropped, fell_silent, resolved
from deploy.alerts.calendar import Calendars
from deploy.alerts.readings import read_longest_gap, read_newest, read_series
from schemas.config.monitors import Monitor, Monitors, SilenceMonitor
from streams.alerting import evidence
from streams.alerting.attribution import Concentration, concentrate
from streams.alerting.baseline import Expectation
from streams.alerting.monitor import (
    Closed,
    Incident,
    Memory,
    MonitorState,
    MonitorStatus,
    Opened,
    Rules,
    expectation,
    step,
)
from streams.alerting.series import ALL, HOUR_MS, Scope, Series, largest, up_to
from streams.alerting.silence import MONTH_HOURS, listen

#: After a pause, hours further back than this are not evaluated one by one.
CAUGHT_UP_HOURS: Final = 48
#: A silence is over when so many events have come, the newest of them lately.
RECOVERED_EVENTS: Final = 3


class Carried(msgspec.Struct, kw_only=True):
    """What a monitor carries over a restart: its state, the firing alert, and alerts that may not be published yet."""

    state: MonitorState = msgspec.field(default_factory=MonitorState)
    holds: Alert | None = None
    pending: list[Alert] = msgspec.field(default_factory=list)


class Evaluation(msgspec.Struct, frozen=True):
    """The status of a monitor after a check. `changed`: its row is to be written."""

    monitor: str
    kind: str
    status: MonitorStatus
    changed: bool


def rules(monitors: Monitors) -> Rules:
    """The rules of each monitor: the budget of false alarms is shared evenly."""
    return Rules(
        level_hours=MONTH_HOURS * len(monitors.watch) / monitors.false_alarms_per_month,
        weeks=monitors.weeks,
        minimum_weeks=monitors.minimum_weeks,
        minimum_expected=monitors.minimum_expected,
        minimum_drop=monitors.minimum_drop,
        accept_after_hours=monitors.accept_after_days * 24,
    )


class Evaluator:
    """All monitors of a deployment. `carried`: the state of each one before a restart, as JSON."""

    def __init__(self, monitors: Monitors, carried: Mapping[str, str]) -> None:
        self._monitors = monitors
        self.rules = rules(monitors)
        self._calendars = Calendars(monitors.calendars)
        self.carried = {name: _read(carried.get(name)) for name in monitors.watch}
        self._memory = {name: Memory() for name in monitors.watch}
        self._usual: dict[str, tuple[int, Expectation | None, float, int]] = {}

    def check(self, name: str, client: Client, known_until: int) -> Evaluation:
        """Evaluate one monitor by all that was received until a moment, in milliseconds. Its new alerts are then in `pending`."""
        monitor = self._monitors.watch[name]
        if isinstance(monitor, SilenceMonitor):
            return self._check_source(name, monitor, client, known_until)
        closed_hour = (known_until - self._monitors.late_minutes * 60_000) // HOUR_MS
        carried = self.carried[name]
        if closed_hour <= carried.state.evaluated:
            return Evaluation(name, monitor.kind, MonitorStatus("quiet", 0.0), changed=False)
        series = read_series(client, monitor, closed_hour, self._monitors.weeks)
        return self.evaluate(name, monitor, series, closed_hour)

    def evaluate(self, name: str, monitor: Monitor, series: Mapping[Scope, Series], closed_hour: int) -> Evaluation:
        """Evaluate the hours of a monitor that have closed since the last evaluated one."""
        carried = self.carried[name]
        kept = set(largest(series, self._monitors.largest_values))
        incident = carried.state.incident
        if incident is not None:
            kept.add(incident.scope)
        series = {scope: each for scope, each in series.items() if scope in kept}
        self._memory[name].keep_only(series)
        evaluated = carried.state.evaluated
        first = max(evaluated + 1, closed_hour - CAUGHT_UP_HOURS) if evaluated else closed_hour
        status = MonitorStatus("learning", 0.0)
        for hour in range(first, closed_hour + 1):
            at_hour = up_to(series, hour)
            before = carried.state
            done = step(before, self._rules_at(hour), at_hour, self._memory[name])
            status = done.status
            carried.state = replace(done.state, evaluated=hour)
            if isinstance(done.change, Opened):
                where = self._concentration(name, done.change.incident, before, at_hour)
                alert = dropped(name, monitor, done.change.incident, where, len(self._monitors.watch))
                carried.holds = alert
                carried.pending.append(alert)
            elif isinstance(done.change, Closed):
                if carried.holds is not None:
                    carried.pending.append(closed(carried.holds, done.change, hour))
                carried.holds = None
        return Evaluation(name, monitor.kind, status, changed=True)

    def alerts(self) -> set[str]:
        """The ids of alerts that fire or may not be published yet."""
        return {
            alert.alert_id
            for carried in self.carried.values()
            for alert in (*carried.pending, *([carried.holds] if carried.holds else []))
        }

    def drop(self, alert_ids: set[str]) -> list[Evaluation]:
        """Drop erased alerts: their monitors go on as if they had found nothing."""
        found = []
        for name, carried in self.carried.items():
            if carried.holds is not None and carried.holds.alert_id in alert_ids:
                carried.holds = None
                carried.state = replace(carried.state, incident=None)
            elif not any(alert.alert_id in alert_ids for alert in carried.pending):
                continue
            carried.pending = [alert for alert in carried.pending if alert.alert_id not in alert_ids]
            self._memory[name] = Memory()
            found.append(Evaluation(name, self._monitors.watch[name].kind, MonitorStatus("quiet", 0.0), changed=True))
        return found

    def row(self, evaluation: Evaluation) -> dict[str, object]:
        """The row of a monitor, its evaluated_at and version in milliseconds."""
        carried, now = self.carried[evaluation.monitor], evaluation.status.now
        strength = None if now is None else now.log_strength / float(np.log(self.rules.level_hours))
        return {
            "monitor": evaluation.monitor,
            "kind": evaluation.kind,
            "evaluated_at": carried.state.evaluated * HOUR_MS,
            "condition": evaluation.status.condition,
            "weeks": evaluation.status.weeks,
            "observed": None if now is None else now.observed,
            "expected": None if now is None else now.expected,
            "strength": None if strength is None or not np.isfinite(strength) else strength,
            "carried": msgspec.json.encode(carried).decode(),
        }

    def _rules_at(self, hour: int) -> Rules:
        return self._calendars.applied(self.rules, hour)

    def _concentration(
        self, name: str, incident: Incident, state: MonitorState, series: Mapping[Scope, Series]
    ) -> Concentration | None:
        """Where a drop of all concentrates, over the hours since its start."""
        if incident.scope != ALL:
            return None
        found = {}
        for scope, each in series.items():
            _, expected = expectation(state, self._rules_at(each.until), scope, each, self._memory[name])
            weighed = evidence.since(expected, incident.detected - incident.started) if expected else None
            if weighed is not None:
                found[scope] = weighed
        return concentrate(found)

    def _check_source(self, name: str, monitor: SilenceMonitor, client: Client, known_until: int) -> Evaluation:
        carried, budget = self.carried[name], self._monitors.false_alarms_per_month / len(self._monitors.watch)
        hour = known_until // HOUR_MS
        changed = hour > carried.state.evaluated
        expected, weeks, longest = self._usual_events(name, monitor, client, hour)
        carried.state = replace(carried.state, evaluated=max(hour, carried.state.evaluated))
        since = carried.holds.started_at if carried.holds else 0
        freshness = read_newest(client, monitor.source, since, known_until)
        if freshness is None or expected is None:
            return Evaluation(name, monitor.kind, MonitorStatus("learning", weeks), changed)
        if carried.holds is not None:
            lately = known_until - freshness.newest < monitor.after_minutes * 60_000
            if freshness.count < RECOVERED_EVENTS or not lately:
                return Evaluation(name, monitor.kind, MonitorStatus("dropped", weeks), changed)
            carried.pending.append(resolved(carried.holds, "recovered", freshness.newest, known_until))
            carried.holds = None
            return Evaluation(name, monitor.kind, MonitorStatus("quiet", weeks), changed=True)
        silence = listen(
            expected,
            hour=hour,
            newest=freshness.newest,
            now=known_until,
            longest_gap_ms=longest,
            least_gap_ms=monitor.after_minutes * 60_000,
            false_alarms_per_month=budget,
        )
        if silence is None:
            return Evaluation(name, monitor.kind, MonitorStatus("quiet", weeks), changed)
        carried.holds = fell_silent(name, monitor, silence, len(self._monitors.watch))
        carried.pending.append(carried.holds)
        return Evaluation(name, monitor.kind, MonitorStatus("dropped", weeks), changed=True)

    def _usual_events(
        self, name: str, monitor: SilenceMonitor, client: Client, hour: int
    ) -> tuple[Expectation | None, float, int]:
        """What is usual of a source: events by hour, weeks of past, the longest gap in milliseconds. Read once an hour."""
        kept = self._usual.get(name)
        if kept is None or kept[0] != hour:
            series = read_series(client, monitor, hour, self._monitors.weeks)
            weeks, expected = 0.0, None
            if ALL in series:
                state = replace(self.carried[name].state, incident=None)
                weeks, expected = expectation(state, self._rules_at(hour), ALL, series[ALL], self._memory[name])
            longest = read_longest_gap(client, monitor, hour, self._monitors.weeks) if expected else 0
            kept = (hour, expected, weeks, longest)
            self._usual[name] = kept
        return kept[1:]


def _read(carried: str | None) -> Carried:
    if not carried:
        return Carried()
    return msgspec.json.decode(carried, type=Carried)

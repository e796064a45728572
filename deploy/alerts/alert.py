"""An alert, as it is stored, published and sent: what dropped, since when, where, and how improbable it is."""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec

from deploy.alerts.wording import chance, drop_summary, number, query_of, stage_of, time_text
from schemas.config.monitors import Monitor, SilenceMonitor
from streams.alerting.attribution import Concentration
from streams.alerting.monitor import Closed, Incident, incident_id
from streams.alerting.series import HOUR_MS, WEEK, Scope
from streams.alerting.silence import MONTH_HOURS, Silence

State = Literal["firing", "resolved"]
_SHOWN_WEEKS: Final = 2


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One state of an alert. Fields and their meaning: the columns of `alert_rows`. Times are milliseconds since 1970."""

    alert_id: str
    monitor: str
    kind: str
    state: State = "firing"
    reason: str = ""
    level: str = ""
    stage: str = ""
    segment: str = ""
    value: str = ""
    missing_share: float | None = None
    started_at: int
    started_earliest: int
    started_latest: int
    detected_at: int
    ended_at: int | None = None
    observed: float = 0.0
    expected: float = 0.0
    trials: float | None = None
    drop: float = 0.0
    probability: float = 1.0
    false_alarms_per_month: float = 0.0
    summary: str
    query: str
    version: int


def dropped(
    name: str, monitor: Monitor, incident: Incident, concentration: Concentration | None, monitors: int
) -> Alert:
    """The alert on a drop, when it is found. `monitors`: how many share the budget of false alarms."""
    scope = concentration.scope if concentration is not None else incident.scope
    return Alert(
        alert_id=incident_id(name, incident),
        monitor=name,
        kind=monitor.kind,
        level=getattr(monitor, "level", ""),
        stage=stage_of(monitor),
        segment=scope.segment,
        value=scope.value,
        missing_share=None if concentration is None else concentration.missing_share,
        started_at=incident.started * HOUR_MS,
        started_earliest=incident.started_earliest * HOUR_MS,
        started_latest=incident.started_latest * HOUR_MS,
        detected_at=incident.detected * HOUR_MS,
        observed=incident.observed,
        expected=incident.expected,
        trials=incident.trials,
        drop=incident.drop,
        probability=incident.probability,
        false_alarms_per_month=monitors * MONTH_HOURS * math.exp(-min(incident.log_strength, 700.0)),
        summary=drop_summary(monitor, incident, concentration),
        query=query_of(monitor, scope, incident.started - _SHOWN_WEEKS * WEEK),
        version=incident.detected * HOUR_MS,
    )


def fell_silent(name: str, monitor: SilenceMonitor, silence: Silence, monitors: int) -> Alert:
    minutes = (silence.until - silence.since) / 60_000
    return Alert(
        alert_id=incident_id(name, _instant(silence.since)),
        monitor=name,
        kind=monitor.kind,
        stage=monitor.source,
        started_at=silence.since,
        started_earliest=silence.since,
        started_latest=silence.since,
        detected_at=silence.until,
        expected=silence.expected,
        drop=1.0,
        probability=silence.probability,
        false_alarms_per_month=monitors * silence.times_a_month,
        summary=f"No event of source {monitor.source} for {minutes:,.0f} minutes, since {time_text(silence.since)}: "
        f"{number(silence.expected)} were to be expected in that time ({chance(silence.probability)}).",
        query=query_of(monitor, Scope(), silence.since // HOUR_MS - WEEK),
        version=silence.until,
    )


def resolved(alert: Alert, reason: str, ended_at: int, known_at: int) -> Alert:
    """A resolved alert: `ended_at` is the likeliest end, `known_at` when it was found."""
    what = {
        "recovered": f"Back to the usual level since {time_text(ended_at)}",
        "accepted": f"It has lasted so long that it is the usual level from now on ({time_text(known_at)})",
        "withdrawn": f"No monitor watches this any more ({time_text(known_at)})",
    }[reason]
    return msgspec.structs.replace(
        alert,
        state="resolved",
        reason=reason,
        ended_at=ended_at,
        summary=f"{what}. It was: {alert.summary}",
        version=max(alert.version + 1, known_at),
    )


def closed(alert: Alert, change: Closed, hour: int) -> Alert:
    return resolved(alert, change.reason, change.ended * HOUR_MS, hour * HOUR_MS)


def trial(now: int) -> Alert:
    """A resolved alert whose text states that it is a test."""
    return Alert(
        alert_id=incident_id("test", _instant(now)),
        monitor="test",
        kind="test",
        state="resolved",
        reason="test",
        started_at=now - HOUR_MS,
        started_earliest=now - HOUR_MS,
        started_latest=now - HOUR_MS,
        detected_at=now,
        ended_at=now,
        summary="This is a test of Firstcall's alerts. Nothing is wrong.",
        query="firstcall query alerts",
        version=now,
    )


def _instant(at: int) -> Incident:
    """A silence as an incident, for its id: it begins at a moment and not with an hour."""
    return Incident(Scope(), at, at, at, at, 0.0, 0.0, None, 1.0, 0.0, 0.0)

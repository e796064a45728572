"""An alert, as it is stored, published and told: what dropped, since when, where, and how improbable it is."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from schemas.config.monitors import ActivationsMonitor, ConversionMonitor, FirstCallMonitor, Monitor, SilenceMonitor
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
    state: State
    reason: str
    level: str
    stage: str
    segment: str
    value: str
    missing_share: float | None
    started_at: int
    started_earliest: int
    started_latest: int
    detected_at: int
    ended_at: int | None
    observed: float
    expected: float
    trials: float | None
    drop: float
    probability: float
    false_alarms_per_month: float
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
        state="firing",
        reason="",
        level=getattr(monitor, "level", ""),
        stage=stage_of(monitor),
        segment=scope.segment,
        value=scope.value,
        missing_share=None if concentration is None else concentration.missing_share,
        started_at=incident.started * HOUR_MS,
        started_earliest=incident.started_earliest * HOUR_MS,
        started_latest=incident.started_latest * HOUR_MS,
        detected_at=incident.detected * HOUR_MS,
        ended_at=None,
        observed=incident.observed,
        expected=incident.expected,
        trials=incident.trials,
        drop=incident.drop,
        probability=incident.probability,
        false_alarms_per_month=monitors * MONTH_HOURS * math.exp(-min(incident.log_strength, 700.0)),
        summary=_drop_in_words(monitor, incident, concentration),
        query=query_of(monitor, scope, incident.started - _SHOWN_WEEKS * WEEK),
        version=incident.detected * HOUR_MS,
    )


def fell_silent(name: str, monitor: SilenceMonitor, silence: Silence, monitors: int) -> Alert:
    """The alert on a silence, when it is found."""
    minutes = (silence.until - silence.since) / 60_000
    return Alert(
        alert_id=incident_id(name, _instant(silence.since)),
        monitor=name,
        kind=monitor.kind,
        state="firing",
        reason="",
        level="",
        stage=monitor.source,
        segment="",
        value="",
        missing_share=None,
        started_at=silence.since,
        started_earliest=silence.since,
        started_latest=silence.since,
        detected_at=silence.until,
        ended_at=None,
        observed=0.0,
        expected=silence.expected,
        trials=None,
        drop=1.0,
        probability=silence.probability,
        false_alarms_per_month=monitors * silence.times_a_month,
        summary=f"No event of source {monitor.source} for {minutes:,.0f} minutes, since {_time(silence.since)}: "
        f"{_number(silence.expected)} were to be expected in that time ({_chance(silence.probability)}).",
        query=query_of(monitor, Scope(), silence.since // HOUR_MS - WEEK),
        version=silence.until,
    )


def resolved(alert: Alert, reason: str, ended_at: int, known_at: int) -> Alert:
    """An alert that is over: `ended_at` is the likeliest end, and `known_at` when that was clear."""
    what = {
        "recovered": f"Back to the usual level since {_time(ended_at)}",
        "accepted": f"It has lasted so long that it is the usual level from now on ({_time(known_at)})",
        "withdrawn": f"No monitor watches this any more ({_time(known_at)})",
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
    """The alert of an incident that is over."""
    return resolved(alert, change.reason, change.ended * HOUR_MS, hour * HOUR_MS)


def trial(now: int) -> Alert:
    """An alert that is over at once and says that it is a test."""
    summary = "This is a test of Firstcall's alerts. Nothing is wrong."
    return Alert(
        alert_id=incident_id("test", _instant(now)),
        monitor="test",
        kind="test",
        state="resolved",
        reason="test",
        level="",
        stage="",
        segment="",
        value="",
        missing_share=None,
        started_at=now - HOUR_MS,
        started_earliest=now - HOUR_MS,
        started_latest=now - HOUR_MS,
        detected_at=now,
        ended_at=now,
        observed=0.0,
        expected=0.0,
        trials=None,
        drop=0.0,
        probability=1.0,
        false_alarms_per_month=0.0,
        summary=summary,
        query="firstcall query alerts",
        version=now,
    )


def stage_of(monitor: Monitor) -> str:
    """Where in the funnel a monitor looks."""
    if isinstance(monitor, ActivationsMonitor):
        return monitor.definition
    if isinstance(monitor, ConversionMonitor | FirstCallMonitor):
        return f"{monitor.from_stage} → {monitor.to_stage}"
    return monitor.source if isinstance(monitor, SilenceMonitor) else monitor.environment


def subject_of(monitor: Monitor) -> str:
    """What a monitor counts, in words."""
    if isinstance(monitor, ActivationsMonitor):
        return f"Activations {monitor.definition!r} of {_PLURALS[monitor.level]}"
    if isinstance(monitor, ConversionMonitor):
        within = _span(monitor.within_minutes)
        return f"Conversion {monitor.from_stage} → {monitor.to_stage} within {within} of {_PLURALS[monitor.level]}"
    if isinstance(monitor, FirstCallMonitor):
        usual = _span(monitor.target_minutes) if monitor.target_minutes else "the usual time"
        return (
            f"Share of {_PLURALS[monitor.level]} who get from {monitor.from_stage} to {monitor.to_stage} within {usual}"
        )
    if isinstance(monitor, SilenceMonitor):
        return f"Events of source {monitor.source}"
    return f"Active {monitor.environment} tokens an hour"


def query_of(monitor: Monitor, scope: Scope, after: int) -> str:
    """A command that shows the hours a monitor looked at, from some hour on."""
    name, parameters = reading_of(monitor, [scope.segment] if scope.segment else [])
    given = [*parameters.items(), ("value", scope.value), ("from", _time(after * HOUR_MS).removesuffix(" UTC"))]
    return " ".join(
        ["firstcall", "query", name, *(f"-p {shlex.quote(f'{key}={value}')}" for key, value in given if value)]
    )


def reading_of(monitor: Monitor, segments: list[str]) -> tuple[str, Mapping[str, str]]:
    """The named query that a monitor reads, and its parameters but for the time."""
    by = ",".join(segments)
    if isinstance(monitor, ActivationsMonitor):
        return "hourly-activations", {"level": monitor.level, "definition": monitor.definition, "segments": by}
    if isinstance(monitor, ConversionMonitor | FirstCallMonitor):
        steps = {"level": monitor.level, "from_stage": monitor.from_stage, "to_stage": monitor.to_stage, "segments": by}
        if isinstance(monitor, ConversionMonitor):
            return "hourly-conversion", {**steps, "within_minutes": str(monitor.within_minutes)}
        return "hourly-first-calls", {**steps, "target_seconds": str(monitor.target_minutes * 60)}
    if isinstance(monitor, SilenceMonitor):
        return "hourly-events", {"source": monitor.source}
    return "hourly-tokens", {"environment": monitor.environment}


_PLURALS: Final = {"developer": "developers", "company": "companies"}


def _drop_in_words(monitor: Monitor, incident: Incident, concentration: Concentration | None) -> str:
    where = f" with {incident.scope}" if incident.scope.segment else ""
    if incident.trials:
        counts = (
            f"{100 * incident.observed / incident.trials:.0f} % of {incident.trials:,.0f} instead of "
            f"{100 * incident.expected / incident.trials:.0f} %"
        )
    else:
        counts = f"{incident.observed:,.0f} instead of {_number(incident.expected)}"
    text = (
        f"{subject_of(monitor)}{where} are down {100 * incident.drop:.0f} % since {_time(incident.started * HOUR_MS)}: {counts} in "
        f"{incident.detected - incident.started} hours ({_chance(incident.probability)})."
    )
    if isinstance(monitor, ConversionMonitor | FirstCallMonitor):
        text = text.replace(" are down ", " is down ", 1)
    if isinstance(monitor, FirstCallMonitor):
        text += " So the time to first call has risen."
    if concentration is not None:
        text += (
            f" It concentrates in {concentration.scope}: down {100 * concentration.drop:.0f} % there, "
            f"{100 * concentration.drop_elsewhere:.0f} % elsewhere."
        )
    elif not incident.scope.segment and getattr(monitor, "segments", None):
        text += " It is about the same in all segments."
    return text


def _instant(at: int) -> Incident:
    """A silence as an incident, for its id: it begins at a moment and not with an hour."""
    return Incident(Scope(), at, at, at, at, 0.0, 0.0, None, 1.0, 0.0, 0.0)


def _chance(probability: float) -> str:
    if probability >= 1e-3:
        return f"probability under no change {probability:.3f}"
    return f"probability under no change {max(probability, 1e-300):.0e}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _span(minutes: float) -> str:
    return f"{minutes / 60:g} h" if minutes >= 60 else f"{minutes:g} min"


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"

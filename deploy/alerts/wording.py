"""The texts of alerts: what a monitor counts, what has dropped, and the command that shows it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from schemas.config.monitors import ActivationsMonitor, ConversionMonitor, FirstCallMonitor, Monitor, SilenceMonitor
from streams.alerting.attribution import Concentration
from streams.alerting.monitor import Incident
from streams.alerting.series import HOUR_MS, Scope

_PLURALS: Final = {"developer": "developers", "company": "companies"}


def stage_of(monitor: Monitor) -> str:
    """The part of the funnel that a monitor watches."""
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
    """A command that shows the hours that a monitor evaluated, from some hour on."""
    name, parameters = reading_of(monitor, [scope.segment] if scope.segment else [])
    given = [*parameters.items(), ("value", scope.value), ("from", time_text(after * HOUR_MS).removesuffix(" UTC"))]
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


def drop_summary(monitor: Monitor, incident: Incident, concentration: Concentration | None) -> str:
    where = f" with {incident.scope}" if incident.scope.segment else ""
    if incident.trials:
        counts = (
            f"{100 * incident.observed / incident.trials:.0f} % of {incident.trials:,.0f} instead of "
            f"{100 * incident.expected / incident.trials:.0f} %"
        )
    else:
        counts = f"{incident.observed:,.0f} instead of {number(incident.expected)}"
    text = (
        f"{subject_of(monitor)}{where} are down {100 * incident.drop:.0f} % since {time_text(incident.started * HOUR_MS)}: {counts} in "
        f"{incident.detected - incident.started} hours ({chance(incident.probability)})."
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


def chance(probability: float) -> str:
    if probability >= 1e-3:
        return f"probability under no change {probability:.3f}"
    return f"probability under no change {max(probability, 1e-300):.0e}"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _span(minutes: float) -> str:
    return f"{minutes / 60:g} h" if minutes >= 60 else f"{minutes:g} min"


def time_text(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"

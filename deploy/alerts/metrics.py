"""The metrics of `firstcall alerts`, each with what an operator should conclude from it."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

#: All of them; only the process of the alerts exposes them.
ALERTS: Final = CollectorRegistry()

DELIVERIES: Final = Counter(
    "firstcall_alert_deliveries",
    "Attempts to deliver an alert, by channel and outcome (delivered, failed). A failed one is retried until it is delivered: failures "
    "that go on mean that nobody receives alerts through this channel; the log names the receiver's answer.",
    ["channel", "outcome"],
    registry=ALERTS,
)
WAITING: Final = Gauge(
    "firstcall_alerts_waiting",
    "Alerts that a channel has still to deliver. Above 0 for more than minutes: its receiver is away or refuses.",
    ["channel"],
    registry=ALERTS,
)
EVALUATED: Final = Gauge(
    "firstcall_monitors_evaluated_timestamp_seconds",
    "When all monitors were last evaluated, or the process started, in seconds since 1970. They are evaluated every minute: an old "
    "time means that a drop now would raise no alert.",
    registry=ALERTS,
)
FAILED_EVALUATIONS: Final = Counter(
    "firstcall_monitor_evaluations_failed",
    "Evaluations of a monitor that failed in ClickHouse; the log names the monitor and the error.",
    registry=ALERTS,
)

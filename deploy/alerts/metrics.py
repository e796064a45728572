"""What `firstcall alerts` counts for Prometheus, each metric with what an operator should conclude from it."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

#: All of these; the process that watches the numbers shows them.
ALERTS: Final = CollectorRegistry()

DELIVERIES: Final = Counter(
    "firstcall_alert_deliveries",
    "Attempts to tell an alert, by channel and outcome (delivered, failed). A failed one is tried again until it is delivered: failures "
    "that go on mean that nobody hears of a drop through this channel; the log names the receiver's answer.",
    ["channel", "outcome"],
    registry=ALERTS,
)
WAITING: Final = Gauge(
    "firstcall_alerts_waiting",
    "Alerts that a channel has still to deliver. Above 0 for more than minutes: its receiver is away or refuses.",
    ["channel"],
    registry=ALERTS,
)
LOOKED: Final = Gauge(
    "firstcall_alerts_looked_timestamp_seconds",
    "When all monitors were last judged, or the process started, in seconds since 1970. It looks every minute: an old "
    "time means that a drop now would not be told.",
    registry=ALERTS,
)
UNJUDGED: Final = Counter(
    "firstcall_monitors_not_judged",
    "Looks at a monitor that failed in ClickHouse; the log names the monitor and the error.",
    registry=ALERTS,
)

"""Rows of alerts, monitors and deliveries in ClickHouse, and what a restart reads of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from deploy.alerts.alert import Alert
from sinks.clickhouse import Address, connected
from sinks.insert import RowInserter
from streams.normalise import clock

#: A resolved alert that is older than a day is not sent after a restart.
SENT_LATE_MS: Final = 86_400_000
_TIMES: Final = ("started_at", "started_earliest", "started_latest", "detected_at", "ended_at")

_CURRENT: Final = """
    SELECT * FROM alert_rows FINAL
    WHERE state = 'firing' OR detected_at > {since:DateTime64(3, 'UTC')} OR ended_at > {since:DateTime64(3, 'UTC')}
    ORDER BY version
"""
_EXISTING: Final = "SELECT DISTINCT alert_id FROM alert_rows WHERE alert_id IN {alert_ids:Array(String)}"
_DELIVERED: Final = "SELECT DISTINCT alert_id, state, channel FROM alert_delivery_rows FINAL"


class AlertRows:
    """Reads and writes the rows. Raises ClickHouseError; any call may be repeated. Used by one thread at a time."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._writer = RowInserter(address)

    def close(self) -> None:
        self._writer.close()

    def write_alert(self, alert: Alert) -> None:
        row = msgspec.structs.asdict(alert)
        self._write("alert_rows", row | {name: None if row[name] is None else clock.text(row[name]) for name in _TIMES})

    def write_monitor(self, row: dict[str, Any]) -> None:
        self._write("monitor_rows", row | {"evaluated_at": clock.text(row["evaluated_at"])})

    def write_delivery(self, alert: Alert, channel: str, attempts: int) -> None:
        row = {"alert_id": alert.alert_id, "state": alert.state, "channel": channel, "attempts": attempts}
        self._write("alert_delivery_rows", row | {"delivered_at": clock.text(int(time.time() * 1000))})

    def carried(self) -> dict[str, str]:
        """What each monitor carries over a restart, by its name."""
        return {
            row["monitor"]: row["carried"] for row in self._query("SELECT monitor, carried FROM monitor_rows FINAL")
        }

    def current(self, now_ms: int) -> list[tuple[Alert, frozenset[str]]]:
        """Alerts that fire or have ended lately, with the channels that took them in this state."""
        delivered: dict[tuple[str, str], set[str]] = {}
        for row in self._query(_DELIVERED):
            delivered.setdefault((row["alert_id"], row["state"]), set()).add(row["channel"])
        since = datetime.fromtimestamp((now_ms - SENT_LATE_MS) / 1000, UTC)
        alerts = (_alert(row) for row in self._query(_CURRENT, {"since": since}))
        return [(alert, frozenset(delivered.get((alert.alert_id, alert.state), ()))) for alert in alerts]

    def without_rows(self, alert_ids: set[str]) -> set[str]:
        """Those of some alerts that have no row: they are about an erased person or company."""
        if not alert_ids:
            return set()
        return alert_ids - {row["alert_id"] for row in self._query(_EXISTING, {"alert_ids": sorted(alert_ids)})}

    def _write(self, table: str, row: dict[str, Any]) -> None:
        refused = self._writer.write(table, [orjson.dumps(row)])
        assert not refused, f"{table}: {refused[0].detail}"

    def _query(self, sql: str, parameters: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        with connected(self._address) as client:
            yield from list(client.query(sql, parameters).named_results())


def _alert(row: dict[str, Any]) -> Alert:
    times = {name: None if row[name] is None else _milliseconds(row[name]) for name in _TIMES}
    return msgspec.convert({**row, **times}, Alert, strict=False)


def _milliseconds(moment: datetime) -> int:
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)

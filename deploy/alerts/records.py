"""What alerts leave behind: rows in ClickHouse and messages on the topic `alerts`; and what a restart reads of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson
from confluent_kafka import KafkaException, Producer

from deploy.alerts.alert import Alert
from deploy.alerts.channels import public_fields
from schemas.config.settings import Settings
from sinks.clickhouse import Address, connected
from sinks.insert import RowWriter
from streams.topology import ALERTS

#: A message that Kafka has not taken in so long is an error, and is sent again with the next evaluation.
SENT_WITHIN_SECONDS: Final = 30.0
#: An alert that is over is told after a restart only if it is not older.
TOLD_LATE_MS: Final = 86_400_000
_TIMES: Final = ("started_at", "started_earliest", "started_latest", "detected_at", "ended_at")

_UNTOLD: Final = """
    SELECT * FROM alert_rows FINAL
    WHERE state = 'firing' OR detected_at > {since:DateTime64(3, 'UTC')} OR ended_at > {since:DateTime64(3, 'UTC')}
    ORDER BY version
"""
_THERE: Final = "SELECT DISTINCT alert_id FROM alert_rows WHERE alert_id IN {alert_ids:Array(String)}"
_DELIVERED: Final = "SELECT DISTINCT alert_id, state, channel FROM alert_delivery_rows FINAL"

#: Publishes an alert; returns when it is published.
Publish = Callable[[Alert], None]


class Records:
    """Rows of alerts, monitors and deliveries. Raises ClickHouseError; any call may be repeated. Safe in several threads."""

    def __init__(self, address: Address) -> None:
        self._address = address
        # Each of them is used by one thread at a time.
        self._writers = {table: RowWriter(address) for table in ("alert_rows", "monitor_rows")}

    def write_alert(self, alert: Alert) -> None:
        row = msgspec.structs.asdict(alert)
        row |= {name: None if row[name] is None else _time(row[name]) for name in _TIMES}
        self._write("alert_rows", row)

    def write_monitor(self, row: dict[str, Any]) -> None:
        self._write("monitor_rows", row | {"evaluated_at": _time(row["evaluated_at"])})

    def write_delivery(self, alert: Alert, channel: str, attempts: int) -> None:
        """Note that a channel took an alert."""
        row = {"alert_id": alert.alert_id, "state": alert.state, "channel": channel, "attempts": attempts}
        writer = RowWriter(self._address)
        try:
            _refuse_none(writer, "alert_delivery_rows", row | {"delivered_at": _time(int(time.time() * 1000))})
        finally:
            writer.close()

    def carried(self) -> dict[str, str]:
        """What each monitor carries over a restart, by its name."""
        return {
            row["monitor"]: row["carried"] for row in self._query("SELECT monitor, carried FROM monitor_rows FINAL")
        }

    def told(self, now_ms: int) -> list[tuple[Alert, frozenset[str]]]:
        """Alerts that fire or have ended lately, with the channels that took them as they are now."""
        delivered: dict[tuple[str, str], set[str]] = {}
        for row in self._query(_DELIVERED):
            delivered.setdefault((row["alert_id"], row["state"]), set()).add(row["channel"])
        since = datetime.fromtimestamp((now_ms - TOLD_LATE_MS) / 1000, UTC)
        alerts = (_alert(row) for row in self._query(_UNTOLD, {"since": since}))
        return [(alert, frozenset(delivered.get((alert.alert_id, alert.state), ()))) for alert in alerts]

    def without_rows(self, alert_ids: set[str]) -> set[str]:
        """Those of some alerts that have no row, as whoever they name was erased."""
        if not alert_ids:
            return set()
        rows = self._query(_THERE, {"alert_ids": sorted(alert_ids)})
        return set(alert_ids) - {row["alert_id"] for row in rows}

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _write(self, table: str, row: dict[str, Any]) -> None:
        _refuse_none(self._writers[table], table, row)

    def _query(self, sql: str, parameters: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        with connected(self._address) as client:
            yield from list(client.query(sql, parameters).named_results())


def publisher(settings: Settings) -> Publish:
    """Publishes alerts on the topic `alerts`, keyed by their ids. The returned function raises KafkaException."""
    producer = Producer(
        {
            "bootstrap.servers": settings.brokers,
            "client.id": f"{settings.app_id}-alerts",
            "enable.idempotence": True,
            "message.timeout.ms": int(SENT_WITHIN_SECONDS * 1000),
            **settings.kafka_options.for_librdkafka(),
        }
    )
    topic = settings.topic(ALERTS)

    def publish(alert: Alert) -> None:
        errors: list[Any] = []
        producer.produce(
            topic,
            key=alert.alert_id,
            value=orjson.dumps(public_fields(alert)),
            on_delivery=lambda error, _: errors.append(error),
        )
        producer.flush(SENT_WITHIN_SECONDS + 1)
        if not errors or errors[0] is not None:
            raise KafkaException(errors[0] if errors else "no answer")

    return publish


def _refuse_none(writer: RowWriter, table: str, row: dict[str, Any]) -> None:
    refused = writer.write(table, [orjson.dumps(row)])
    assert not refused, f"{table}: {refused[0].detail}"


def _alert(row: dict[str, Any]) -> Alert:
    times = {name: None if row[name] is None else _milliseconds(row[name]) for name in _TIMES}
    return msgspec.convert({**row, **times}, Alert, strict=False)


def _milliseconds(moment: datetime) -> int:
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S}.{at % 1000:03d}"

"""The process `firstcall alerts`: checks every minute, sends what has changed, and outlives outages of Kafka and ClickHouse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

import structlog
from clickhouse_connect.driver import Client
from confluent_kafka import KafkaException
from kafka.errors import KafkaError

from deploy.alerts.alert import Alert, resolved
from deploy.alerts.alert_rows import AlertRows
from deploy.alerts.dispatch import Dispatch
from deploy.alerts.evaluator import Evaluation, Evaluator
from deploy.alerts.progress import Progress, read_positions
from deploy.alerts.publisher import Publish
from deploy.services import topics
from deploy.services.groups import consumed_topics
from schemas import metrics
from schemas.config.monitors import Monitors
from schemas.config.settings import Settings
from schemas.errors import ClickHouseError, DeploymentError
from sinks.clickhouse import Address, connect, named_errors
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.watchdog import Report

CHECK_SECONDS: Final = 60.0
#: How often positions in Kafka are read: a check may be so much late, times the steps of an event.
POLL_SECONDS: Final = 5.0
#: One turn may evaluate all monitors, each with a query that takes ClickHouse some time.
LOOP_TURNS_WITHIN_SECONDS: Final = 900.0
LOOP: Final = "the watching loop"

log = structlog.get_logger("firstcall.alerts")


class Watch:
    """All monitors, their rows and their channels. Used by one thread."""

    def __init__(
        self,
        address: Address,
        monitors: Monitors,
        publish: Publish | None,
        *,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        **dispatch: Any,
    ) -> None:
        self.monitors = monitors
        self._address, self._publish, self._now_ms = address, publish, now_ms
        self._rows = AlertRows(address)
        self._delivered: SimpleQueue[tuple[Alert, str, int]] = SimpleQueue()
        self._undelivered: list[tuple[Alert, str, int]] = []
        self._posted: set[tuple[str, str]] = set()
        self._client: Client | None = None
        self.dispatch = Dispatch(monitors.channels, lambda *delivery: self._delivered.put(delivery), **dispatch)
        self.evaluator: Evaluator | None = None
        self._waiting: tuple[str, float, str] | None = None

    def report(self) -> Report:
        """What it waits for. Called by the watchdog from another thread."""
        return Report("running", 0, {}, self._waiting)

    def waits(self, service: str, why: str) -> None:
        """Note that it cannot go on without a service, until `goes_on`."""
        since = self._waiting[1] if self._waiting is not None and self._waiting[0] == service else time.monotonic()
        self._waiting = (service, since, why)

    def goes_on(self, service: str) -> None:
        if self._waiting is not None and self._waiting[0] == service:
            self._waiting = None

    def check(self, known_until: int) -> list[Evaluation]:
        """Evaluate all monitors by what was received until a moment (milliseconds), and send what has changed.

        Outages are logged, and a later check makes up for them. The first check restores the state of the process before.
        """
        try:
            evaluator = self.evaluator or self._restore()
            client = self._connected()
            self._drop_erased(evaluator)
        except ClickHouseError as error:
            log.warning("clickhouse_unavailable", error=str(error))
            self.waits("ClickHouse", str(error))
            return []
        self.goes_on("ClickHouse")
        found = []
        for name in self.monitors.watch:
            try:
                with named_errors(self._address):
                    evaluation = evaluator.check(name, client, known_until)
                found.append(evaluation)
                if evaluation.changed:
                    self._rows.write_monitor(self._monitor_row(evaluator, evaluation))
                self._send(evaluator, name, evaluation)
            except ClickHouseError as error:
                log.warning("monitor_not_evaluated", monitor=name, error=str(error))
                self.waits("ClickHouse", str(error))
                metrics.EVALUATIONS_FAILED.inc()
        metrics.MONITORS_EVALUATED.set_to_current_time()
        # Other alerts have ended and are delivered.
        alive = evaluator.alerts() | self.dispatch.alerts()
        self._posted = {posted for posted in self._posted if posted[0] in alive}
        self.write_deliveries()
        return found

    def write_deliveries(self) -> None:
        """Write what the channels have delivered. What ClickHouse does not take is kept."""
        while not self._delivered.empty():
            self._undelivered.append(self._delivered.get())
        while self._undelivered:
            try:
                self._rows.write_delivery(*self._undelivered[0])
            except ClickHouseError as error:
                log.warning("deliveries_not_written", error=str(error))
                return
            del self._undelivered[0]

    def stop(self) -> None:
        """End the channels' threads and write their deliveries."""
        self.dispatch.stop()
        self.write_deliveries()
        self._rows.close()
        if self._client is not None:
            self._client.close()

    def _restore(self) -> Evaluator:
        evaluator = Evaluator(self.monitors, self._rows.carried())
        for carried in evaluator.carried.values():
            for alert in carried.pending:
                self._rows.write_alert(alert)
        now = self._now_ms()
        for alert, _ in self._rows.current(now):
            if alert.state == "firing" and alert.monitor not in self.monitors.watch:
                # Without its monitor it would never end.
                self._rows.write_alert(resolved(alert, "withdrawn", now, now))
        for alert, channels in self._rows.current(now):
            self._posted.add((alert.alert_id, alert.state))
            if alert.state == "firing":
                self.dispatch.keep(alert)
            for channel in self.monitors.channels.keys() - channels:
                self.dispatch.post(alert, channel)
        self.evaluator = evaluator
        return evaluator

    def _drop_erased(self, evaluator: Evaluator) -> None:
        """Drop alerts whose rows are gone: an erasure has deleted them, as they name an erased id."""
        written = {alert_id for alert_id, _ in self._posted}
        gone = self._rows.without_rows(written & (evaluator.alerts() | self.dispatch.alerts()))
        if not gone:
            return
        self.dispatch.drop(gone)
        self._posted = {posted for posted in self._posted if posted[0] not in gone}
        for evaluation in evaluator.drop(gone):
            self._rows.write_monitor(self._monitor_row(evaluator, evaluation))

    def _send(self, evaluator: Evaluator, name: str, evaluation: Evaluation) -> None:
        """Write rows first, which a restart reads; then send to the channels; then publish on the topic."""
        carried = evaluator.carried[name]
        if not carried.pending:
            return
        for alert in carried.pending:
            self._rows.write_alert(alert)
            if (alert.alert_id, alert.state) not in self._posted:
                self._posted.add((alert.alert_id, alert.state))
                log.warning("alert", state=alert.state, monitor=name, alert=alert.alert_id, summary=alert.summary)
                self.dispatch.post(alert)
        try:
            for alert in carried.pending:
                if self._publish is not None:
                    self._publish(alert)
        except KafkaException as error:
            log.warning("alert_not_published", monitor=name, error=str(error))
            return
        carried.pending.clear()
        self._rows.write_monitor(self._monitor_row(evaluator, evaluation))

    def _monitor_row(self, evaluator: Evaluator, evaluation: Evaluation) -> dict[str, Any]:
        return {**evaluator.row(evaluation), "version": self._now_ms()}

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self._address)
        return self._client


def run(settings: Settings, watch: Watch, stop: threading.Event, heartbeats: Heartbeats | None = None) -> None:
    """Check every minute until `stop` is set. Kafka and ClickHouse may come and go."""
    heartbeats = heartbeats or Heartbeats()
    heartbeats.expect(LOOP, LOOP_TURNS_WITHIN_SECONDS)
    metrics.MONITORS_EVALUATED.set_to_current_time()
    log.info("alerts_started", monitors=len(watch.monitors.watch), channels=sorted(watch.monitors.channels))
    progress = Progress()
    checked_at = -CHECK_SECONDS
    while not stop.is_set():
        try:
            with topics.administration(settings) as client:
                while not stop.is_set():
                    heartbeats.beat(LOOP)
                    progress.observe(int(time.time() * 1000), read_positions(client, consumed_topics(settings)))
                    watch.goes_on("Kafka")
                    if progress.known_until is not None and time.monotonic() - checked_at >= CHECK_SECONDS:
                        checked_at = time.monotonic()
                        watch.check(progress.known_until)
                    stop.wait(POLL_SECONDS)
        except (KafkaError, DeploymentError) as error:
            log.warning("kafka_unavailable", error=str(error))
            watch.waits("Kafka", str(error))
            heartbeats.beat(LOOP)
            stop.wait(POLL_SECONDS)

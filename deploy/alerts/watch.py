"""The process `firstcall alerts`: looks every minute, tells what has changed, and never ends because something else is away."""

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

from deploy.alerts import metrics
from deploy.alerts.alert import Alert, resolved
from deploy.alerts.dispatch import Dispatch
from deploy.alerts.evaluator import Evaluation, Evaluator
from deploy.alerts.progress import Progress, read_positions
from deploy.alerts.records import Publish, Records
from deploy.services import topics
from deploy.services.topics import consumed_topics
from schemas.config.monitors import Monitors
from schemas.config.settings import Settings
from schemas.errors import ClickHouseError, DeploymentError
from sinks.clickhouse import Address, connect, named_errors
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.watchdog import Report

LOOK_SECONDS: Final = 60.0
#: How often the way of the events through Kafka is followed: a look may be so much behind, times the steps.
FOLLOW_SECONDS: Final = 5.0
#: One turn may judge all monitors, each with a query that ClickHouse takes its time for.
LOOP_TURNS_WITHIN_SECONDS: Final = 900.0
LOOP: Final = "the watching loop"

log = structlog.get_logger("firstcall.alerts")


class Watch:
    """All monitors, what they remember, and whom they tell. Used by one thread."""

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
        self._records = Records(address)
        self._delivered: SimpleQueue[tuple[Alert, str, int]] = SimpleQueue()
        self._undelivered: list[tuple[Alert, str, int]] = []
        self._posted: set[tuple[str, str]] = set()
        self._client: Client | None = None
        self.dispatch = Dispatch(monitors.channels, lambda *told: self._delivered.put(told), **dispatch)
        self.judge: Evaluator | None = None
        self._waiting: tuple[str, float, str] | None = None

    def report(self) -> Report:
        """For whom it waits, for its watchdog, which asks from another thread."""
        return Report("running", 0, {}, self._waiting)

    def waits(self, whom: str, why: str) -> None:
        """Note that it cannot go on without someone, until `goes_on`."""
        since = self._waiting[1] if self._waiting is not None and self._waiting[0] == whom else time.monotonic()
        self._waiting = (whom, since, why)

    def goes_on(self, whom: str) -> None:
        """Note that it does not wait for them any more."""
        if self._waiting is not None and self._waiting[0] == whom:
            self._waiting = None

    def look(self, known_until: int) -> list[Evaluation]:
        """Evaluate everything by all that was received until a moment (milliseconds), and tell what has changed.

        What is away is logged, and done with a later look. The first look takes up what the process before has left.
        """
        try:
            judge = self.judge or self._take_up()
            client = self._connected()
            self._forget_erased(judge)
        except ClickHouseError as error:
            log.warning("alerts wait for ClickHouse", error=str(error))
            self.waits("ClickHouse", str(error))
            return []
        self.goes_on("ClickHouse")
        found = []
        for name in self.monitors.watch:
            try:
                with named_errors(self._address):
                    judged = judge.look(name, client, known_until)
                found.append(judged)
                if judged.changed:
                    self._records.write_monitor(self._row(judge, judged))
                self._tell(judge, name, judged)
            except ClickHouseError as error:
                log.warning("monitor not judged", monitor=name, error=str(error))
                self.waits("ClickHouse", str(error))
                metrics.UNJUDGED.inc()
        metrics.LOOKED.set_to_current_time()
        # Of all others nothing is said any more.
        alive = judge.alerts() | self.dispatch.alerts()
        self._posted = {told for told in self._posted if told[0] in alive}
        self.note()
        return found

    def note(self) -> None:
        """Write down what the channels have delivered. What cannot be now is kept."""
        while not self._delivered.empty():
            self._undelivered.append(self._delivered.get())
        while self._undelivered:
            try:
                self._records.write_delivery(*self._undelivered[0])
            except ClickHouseError as error:
                log.warning("deliveries not noted", error=str(error))
                return
            del self._undelivered[0]

    def stop(self) -> None:
        """End the channels' threads and note what they did."""
        self.dispatch.stop()
        self.note()
        self._records.close()
        if self._client is not None:
            self._client.close()

    def _take_up(self) -> Evaluator:
        judge = Evaluator(self.monitors, self._records.carried())
        for carried in judge.carried.values():
            for alert in carried.pending:
                self._records.write_alert(alert)
        now = self._now_ms()
        for alert, _ in self._records.told(now):
            if alert.state == "firing" and alert.monitor not in self.monitors.watch:
                # Nobody will ever see it recover.
                self._records.write_alert(resolved(alert, "withdrawn", now, now))
        for alert, channels in self._records.told(now):
            self._posted.add((alert.alert_id, alert.state))
            if alert.state == "firing":
                self.dispatch.keep(alert)
            for channel in self.monitors.channels.keys() - channels:
                self.dispatch.post(alert, channel)
        self.judge = judge
        return judge

    def _forget_erased(self, judge: Evaluator) -> None:
        """An alert that was written and has no row any more names someone who was erased: nothing repeats it."""
        written = {alert_id for alert_id, _ in self._posted}
        gone = self._records.without_rows(written & (judge.alerts() | self.dispatch.alerts()))
        if not gone:
            return
        self.dispatch.forget(gone)
        self._posted = {told for told in self._posted if told[0] not in gone}
        for judged in judge.forget(gone):
            self._records.write_monitor(self._row(judge, judged))

    def _tell(self, judge: Evaluator, name: str, judged: Evaluation) -> None:
        """Rows first, which a restart reads; then people; then the topic."""
        carried = judge.carried[name]
        if not carried.pending:
            return
        for alert in carried.pending:
            self._records.write_alert(alert)
            if (alert.alert_id, alert.state) not in self._posted:
                self._posted.add((alert.alert_id, alert.state))
                log.warning("alert", state=alert.state, monitor=name, alert=alert.alert_id, summary=alert.summary)
                self.dispatch.post(alert)
        try:
            for alert in carried.pending:
                if self._publish is not None:
                    self._publish(alert)
        except KafkaException as error:
            log.warning("alert not published; trying again", monitor=name, error=str(error))
            return
        carried.pending.clear()
        self._records.write_monitor(self._row(judge, judged))

    def _row(self, judge: Evaluator, judged: Evaluation) -> dict[str, Any]:
        return {**judge.row(judged), "version": self._now_ms()}

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self._address)
        return self._client


def run(settings: Settings, watch: Watch, stop: threading.Event, heartbeats: Heartbeats | None = None) -> None:
    """Look every minute until `stop` is set. Kafka and ClickHouse may come and go."""
    heartbeats = heartbeats or Heartbeats()
    heartbeats.expect(LOOP, LOOP_TURNS_WITHIN_SECONDS)
    metrics.LOOKED.set_to_current_time()
    log.info("watching", monitors=len(watch.monitors.watch), channels=sorted(watch.monitors.channels))
    progress = Progress()
    looked_at = -LOOK_SECONDS
    while not stop.is_set():
        try:
            with topics.administration(settings) as client:
                while not stop.is_set():
                    heartbeats.beat(LOOP)
                    progress.observe(int(time.time() * 1000), read_positions(client, consumed_topics(settings)))
                    watch.goes_on("Kafka")
                    if progress.known_until is not None and time.monotonic() - looked_at >= LOOK_SECONDS:
                        looked_at = time.monotonic()
                        watch.look(progress.known_until)
                    stop.wait(FOLLOW_SECONDS)
        except (KafkaError, DeploymentError) as error:
            log.warning("alerts wait for Kafka: without it nobody knows what is still to come", error=str(error))
            watch.waits("Kafka", str(error))
            heartbeats.beat(LOOP)
            stop.wait(FOLLOW_SECONDS)

"""Decides whether a process is ready (/readyz) or stuck (/healthz), and ends it when it is stuck.

`Watchdog._evaluate` finds the reasons that /readyz and the log print. The same checks measure the lag.

It checks every few seconds, from its own thread and on its own connections to the brokers. So it sees what the process itself does
not: a loop that no longer turns, a processor that hangs, a partition from which no record comes any more. A stuck process ends
at once, as by `kill -9`, which loses nothing; its supervisor starts it again. While a server is unavailable the process does not
end: it waits, is not ready, and reports the server.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import KafkaException
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas import metrics
from streams.runtime.brokers import Brokers, FirstRecord, Offsets, Partition
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.stall_detector import StallDetector

CHECK_SECONDS: Final = 5.0
#: After so long without progress: the first record of a partition is read; the process is not ready; it ends. With two checks this
#: is within a minute.
CLOSER_AFTER_SECONDS: Final = 10.0
UNREADY_AFTER_SECONDS: Final = 20.0
STUCK_AFTER_SECONDS: Final = 45.0
#: If no Python runs for so long, because something holds the interpreter, a thread outside of it ends the process. The longest
#: check is shorter.
FROZEN_AFTER_SECONDS: Final = 50.0
#: Joining a group waits for its other members, so it may take longer.
JOINED_WITHIN_SECONDS: Final = 120.0
#: A pause between two checks is shorter, unless the whole process was suspended or the machine slept.
SUSPENDED_SECONDS: Final = 20.0
#: Partitions whose first record is read in one check; the others wait for the next one.
CLOSER_AT_ONCE: Final = 4
#: The exit code of a process that found itself stuck.
EXIT_STUCK: Final = 3

log = structlog.get_logger("firstcall.watchdog")


class WorkProgress(NamedTuple):
    """The progress of a process with a partition.

    `steps` changes whenever an effect becomes durable; `oldest`: the timestamp, in ms, of the oldest message in memory.
    """

    processor: str
    steps: int
    oldest: int | None


class Report(NamedTuple):
    """What a process reports to its watchdog.

    `phase`: running, or a phase before it; `steps` changes while that goes on. `waiting`: the server that it waits for, since when
    on the monotonic clock, and the error; None if it waits for none.
    """

    phase: str
    steps: int
    progress: Mapping[Partition, WorkProgress]
    waiting: tuple[str, float, str] | None = None


class Lag(NamedTuple):
    """How far behind a partition is. `seconds`: the age of its oldest message to process; `stalled`: seconds without progress."""

    processor: str
    events: int
    seconds: float
    stalled: float


class Status(NamedTuple):
    """The result of one check. `stuck` and `unready` are reasons in words; `unready` includes `stuck`. Empty: all is well."""

    stuck: list[str]
    unready: list[str]
    phase: str
    lags: Mapping[Partition, Lag]
    kafka_silent_seconds: float


class Watchdog(Collector):
    """Checks one process, and collects its metrics. `start` it, or call `check`."""

    def __init__(
        self,
        heartbeats: Heartbeats,
        report: Callable[[], Report],
        brokers: Brokers | None,
        stop: threading.Event | None = None,
        end: Callable[[list[str]], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`stop`: once it is set the process shuts down, and is not checked any more."""
        self.heartbeats = heartbeats
        self._stop = stop or threading.Event()
        self._report, self._brokers, self._end, self._clock = report, brokers, end or _end_process, clock
        self._partitions: StallDetector[Partition] = StallDetector()
        self._phases: StallDetector[str] = StallDetector()
        #: The committed offset at which a partition was first seen behind, and when.
        self._behind: dict[Partition, tuple[int, float]] = {}
        #: The first record to process of a stalled partition, at these offsets.
        self._first_records: dict[Partition, tuple[Offsets, FirstRecord | None]] = {}
        self._reads_left = CLOSER_AT_ONCE
        self._checked_at = self._answered_at = clock()
        self._was_unready: list[str] = []
        self.status = Status([], ["the first check is still to come"], "starting", {}, 0.0)
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to check and to export metrics, until the process ends."""
        REGISTRY.register(self)
        self._thread.start()

    def unhealthy(self) -> list[str]:
        """Reasons why the process is dead or stuck, at this moment; empty if it is healthy."""
        late = self._clock() - self._checked_at
        asleep = [f"the watchdog has not checked for {late:.0f} s"] if late > STUCK_AFTER_SECONDS else []
        return asleep + self.heartbeats.missing() + self.status.stuck

    def unready(self) -> list[str]:
        """Reasons why the process does not do its work, as of the last check; empty if it does."""
        return list(dict.fromkeys([*self.unhealthy(), *self.status.unready]))

    def facts(self) -> dict[str, Any]:
        """Figures of the last check."""
        lags = self.status.lags.values()
        return {
            "phase": self.status.phase,
            "partitions": len(lags),
            "lag_events": sum(lag.events for lag in lags),
            "lag_seconds": round(max((lag.seconds for lag in lags), default=0.0), 1),
        }

    def check(self) -> Status:
        """Check once. Ends the process if it is stuck."""
        now = self._checked_at = self._clock()
        report = self._report()
        lags = self._lags(now, report)
        stuck, unready = self._evaluate(now, report, lags)
        self.status = Status(stuck, stuck + unready, report.phase, lags, max(0.0, now - self._answered_at))
        self._log_readiness()
        if stuck:
            self._end(stuck)
        return self.status

    def collect(self) -> Iterator[Metric]:
        status = self.status
        events, seconds, stalled = (
            _family(each) for each in (metrics.LAG_EVENTS, metrics.LAG_SECONDS, metrics.STALLED)
        )
        for (topic, partition), lag in status.lags.items():
            labels = [lag.processor, topic, str(partition)]
            events.add_metric(labels, lag.events)
            seconds.add_metric(labels, lag.seconds)
            stalled.add_metric(labels, lag.stalled)
        yield from (events, seconds, stalled)
        yield _family(metrics.READY, not self.unready())
        yield _family(metrics.PARTITIONS, len(status.lags))
        yield _family(metrics.KAFKA_SILENT, status.kafka_silent_seconds)

    def _run(self) -> None:
        while True:
            # Set again by each check. Its thread needs no interpreter: it prints the stacks of all threads, and ends the process.
            faulthandler.dump_traceback_later(FROZEN_AFTER_SECONDS, exit=True)
            waiting_since = self._clock()
            if self._stop.wait(CHECK_SECONDS):
                faulthandler.cancel_dump_traceback_later()
                return
            if self._clock() - waiting_since > SUSPENDED_SECONDS:
                self._reset_clocks()
            try:
                self.check()
            except Exception:
                # A fault of the watchdog must not end its thread; /healthz shows if it persists.
                log.exception("watchdog_failed")

    def _reset_clocks(self) -> None:
        """No loop could beat and no partition go on while the whole process was suspended."""
        self.heartbeats.renew()
        self._partitions.reset()
        self._phases.reset()

    def _lags(self, now: float, report: Report) -> dict[Partition, Lag]:
        """How far behind each partition is, as of the last answer of the brokers."""
        if self._brokers is None:
            return {}
        try:
            offsets = self._brokers.offsets(report.progress)
        except KafkaException:
            self._partitions.reset()
            self._phases.reset()
            return {partition: lag for partition, lag in self.status.lags.items() if partition in report.progress}
        self._answered_at = self._clock()
        self._reads_left = CLOSER_AT_ONCE
        behind = {partition: found for partition, found in offsets.items() if found.end > found.committed}
        if report.phase != "running" or _waits(report, now):
            self._partitions.reset()
            stalled: dict[Partition, float] = {}
        else:
            progress = {
                partition: (found.committed, report.progress[partition].steps) for partition, found in behind.items()
            }
            stalled = self._partitions.observe(now, progress)
        return {
            partition: self._lag(now, partition, found, report.progress[partition], stalled.get(partition, 0.0))
            for partition, found in offsets.items()
        }

    def _lag(self, now: float, partition: Partition, found: Offsets, progress: WorkProgress, stalled: float) -> Lag:
        if found.end <= found.committed:
            self._behind.pop(partition, None)
            return Lag(progress.processor, 0, 0.0, 0.0)
        oldest = progress.oldest
        if stalled >= CLOSER_AFTER_SECONDS:
            if not self._read_first_record(partition, found):
                # Not a stall until it is known that there is a record to process.
                stalled = 0.0
            elif (first := self._first_records[partition][1]) is None:
                return Lag(progress.processor, 0, 0.0, 0.0)
            else:
                oldest = first.timestamp
        seen = self._behind.get(partition)
        if seen is None or seen[0] != found.committed:
            seen = self._behind[partition] = (found.committed, now)
        seconds = now - seen[1] if oldest is None else max(0.0, time.time() - oldest / 1000)
        return Lag(progress.processor, found.end - found.committed, seconds, stalled)

    def _read_first_record(self, partition: Partition, found: Offsets) -> bool:
        """Read the first record to process, None if the rest of the log has none (as after a transaction).

        False if it could not be read in this check.
        """
        known = self._first_records.get(partition)
        if known is not None and known[0] == found:
            return True
        if not self._reads_left:
            return False
        assert self._brokers is not None, "the offsets come from them"
        self._reads_left -= 1
        try:
            self._first_records[partition] = (found, self._brokers.first_record(partition, found.committed))
        except KafkaException:
            return False
        return True

    def _evaluate(self, now: float, report: Report, lags: Mapping[Partition, Lag]) -> tuple[list[str], list[str]]:
        stuck, unready = self.heartbeats.missing(), []
        silent = max(0.0, now - self._answered_at)
        if self._brokers is not None and silent > UNREADY_AFTER_SECONDS:
            unready.append(f"the brokers have not answered for {silent:.0f} s")
        if report.waiting is not None and now - report.waiting[1] > UNREADY_AFTER_SECONDS:
            server, since, error = report.waiting
            unready.append(f"waits for {server} since {now - since:.0f} s: {error or 'no answer'}")
        if report.phase == "running":
            self._phases.reset()
        else:
            unready.append(f"not running yet: {report.phase}")
            limit = STUCK_AFTER_SECONDS if report.phase == "recovering" else JOINED_WITHIN_SECONDS
            stalled = self._phases.observe(now, {report.phase: report.steps})[report.phase]
            if stalled > limit:
                stuck.append(f"{report.phase} has not gone on for {stalled:.0f} s")
        for (topic, partition), lag in lags.items():
            if lag.stalled > UNREADY_AFTER_SECONDS:
                found = f"{lag.processor} has not gone on with {topic}/{partition} for {lag.stalled:.0f} s, {lag.events:,} messages behind"
                (stuck if lag.stalled > STUCK_AFTER_SECONDS else unready).append(found)
        return stuck, unready

    def _log_readiness(self) -> None:
        """Log a change of readiness, once."""
        unready = self.status.unready
        if bool(unready) != bool(self._was_unready):
            if unready:
                log.warning("not_ready", reasons=unready, **self.facts())
            else:
                log.info("ready", **self.facts())
        self._was_unready = unready


def _family(family: metrics.Family, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(family.name, family.documentation, value, labels=family.labels or None)


def _waits(report: Report, now: float) -> bool:
    """Whether it waits for a server longer than a normal answer takes."""
    return report.waiting is not None and now - report.waiting[1] > CHECK_SECONDS


def _end_process(reasons: list[str]) -> None:
    """End at once, after printing the stacks of all threads: what hangs cannot shut down."""
    log.critical("stuck", reasons=reasons, exit_code=EXIT_STUCK, action="restart the process")
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    sys.stderr.flush()
    os._exit(EXIT_STUCK)

"""A process that judges itself: how far behind it is, whether it is ready, and that it ends when it is stuck.

It looks from a thread of its own, every few seconds, and asks the brokers by connections of its own, so it sees what the
process itself does not: a loop that no longer turns, a stage that hangs, a partition from which nothing comes any more. A
process that is stuck ends at once, as by `kill -9`, which loses nothing: whoever started it starts it again. It does not end
because others are away: then it waits, is not ready, and says for whom it waits.
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

from streams.runtime.brokers import Brokers, FirstRecord, Offsets, Partition
from streams.runtime.heartbeats import Heartbeats
from streams.runtime.stall_detector import StallDetector

LOOK_SECONDS: Final = 5.0
#: A partition that has stood still for so long is looked at closer; then the process is not ready; then it ends. With two looks
#: this is within a minute.
CLOSER_AFTER_SECONDS: Final = 10.0
UNREADY_AFTER_SECONDS: Final = 20.0
STUCK_AFTER_SECONDS: Final = 45.0
#: A process in which no Python runs for so long, because something holds the interpreter, is ended from outside of it. The longest
#: look is shorter.
FROZEN_AFTER_SECONDS: Final = 50.0
#: Joining a group waits for its other members, so it may take longer.
JOINED_WITHIN_SECONDS: Final = 120.0
#: A rest between two looks is never so long, unless the whole process was stopped or the machine slept.
PAUSED_SECONDS: Final = 20.0
#: How many partitions are looked at closer in one look; the others have to wait for the next one.
CLOSER_AT_ONCE: Final = 4
#: The exit code of a process that found itself stuck.
EXIT_STUCK: Final = 3

log = structlog.get_logger("firstcall.watchdog")


class WorkProgress(NamedTuple):
    """Where a process is with a partition.

    `steps` changes with whatever shows that work goes on; `oldest`: the timestamp, in ms, of the oldest message in hand.
    """

    stage: str
    steps: int
    oldest: int | None


class Report(NamedTuple):
    """What a process says of itself.

    `phase`: running, or what has to be done before; `steps` changes while that goes on. `waiting`: for whom outside, since when
    on the monotonic clock, and why; None if for nobody.
    """

    phase: str
    steps: int
    standings: Mapping[Partition, WorkProgress]
    waiting: tuple[str, float, str] | None = None


class Lag(NamedTuple):
    """How far behind a partition is. `seconds`: the age of its oldest message to do; `still`: since when it has not gone on."""

    stage: str
    events: int
    seconds: float
    still: float


class Verdict(NamedTuple):
    """What one look found. `stuck` and `unready`, which has both, are reasons, for a person; none mean that all is well."""

    stuck: list[str]
    unready: list[str]
    phase: str
    lags: Mapping[Partition, Lag]
    kafka_silent_seconds: float


class Watchdog(Collector):
    """Looks after one process, and is its collector of metrics. `start` it, or `look` by hand."""

    def __init__(
        self,
        heartbeats: Heartbeats,
        report: Callable[[], Report],
        brokers: Brokers | None,
        stop: threading.Event | None = None,
        end: Callable[[list[str]], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`stop`: once it is set the process ends as it was told to, and is not judged any more."""
        self.heartbeats = heartbeats
        self._stop = stop or threading.Event()
        self._report, self._brokers, self._end, self._clock = report, brokers, end or _end_process, clock
        self._partitions: StallDetector[Partition] = StallDetector()
        self._phases: StallDetector[str] = StallDetector()
        #: When a partition was first seen behind its place, and its first record there if it was looked at closer.
        self._behind: dict[Partition, tuple[int, float]] = {}
        self._closer: dict[Partition, tuple[Offsets, FirstRecord | None]] = {}
        self._closer_left = CLOSER_AT_ONCE
        self._looked_at = self._answered_at = clock()
        self._was_unready: list[str] = []
        self.verdict = Verdict([], ["the first look is still to come"], "starting", {}, 0.0)
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look and to be scraped, until the process ends."""
        REGISTRY.register(self)
        self._thread.start()

    def unhealthy(self) -> list[str]:
        """Why the process does not live, found now; nothing if it does."""
        late = self._clock() - self._looked_at
        asleep = [f"the watchdog has not looked for {late:.0f} s"] if late > STUCK_AFTER_SECONDS else []
        return asleep + self.heartbeats.missing() + self.verdict.stuck

    def unready(self) -> list[str]:
        """Why the process does not do its work, as of the last look; nothing if it does."""
        return list(dict.fromkeys([*self.unhealthy(), *self.verdict.unready]))

    def facts(self) -> dict[str, Any]:
        """What else a person wants to know of it."""
        lags = self.verdict.lags.values()
        return {
            "phase": self.verdict.phase,
            "partitions": len(lags),
            "lag_events": sum(lag.events for lag in lags),
            "lag_seconds": round(max((lag.seconds for lag in lags), default=0.0), 1),
        }

    def look(self) -> Verdict:
        """Look once. Ends the process if it is stuck."""
        now = self._looked_at = self._clock()
        report = self._report()
        lags = self._lags(now, report)
        stuck, unready = self._judged(now, report, lags)
        self.verdict = Verdict(stuck, stuck + unready, report.phase, lags, max(0.0, now - self._answered_at))
        self._tell()
        if stuck:
            self._end(stuck)
        return self.verdict

    def collect(self) -> Iterator[Metric]:
        """The last look, for Prometheus."""
        verdict = self.verdict
        each = ["stage", "topic", "partition"]
        events = GaugeMetricFamily(
            "firstcall_lag_events",
            "Messages of a partition that are not worked on and acknowledged yet. It grows while messages are read: more workers "
            "are needed. It grows and nothing is read: see firstcall_standing_still_seconds.",
            labels=each,
        )
        seconds = GaugeMetricFamily(
            "firstcall_lag_seconds",
            "Age of the oldest message of a partition that is not worked on, by the time at which Kafka got it; 0 without a lag. "
            "So old are the numbers at least.",
            labels=each,
        )
        still = GaugeMetricFamily(
            "firstcall_standing_still_seconds",
            f"Since when a partition with messages to do has not gone on. The process ends itself after {STUCK_AFTER_SECONDS:.0f} "
            "seconds; higher values would mean that it cannot.",
            labels=each,
        )
        for (topic, partition), lag in verdict.lags.items():
            labels = [lag.stage, topic, str(partition)]
            events.add_metric(labels, lag.events)
            seconds.add_metric(labels, lag.seconds)
            still.add_metric(labels, lag.still)
        yield from (events, seconds, still)
        yield GaugeMetricFamily(
            "firstcall_ready", "1 while the process does its work, else 0; /readyz says why.", not self.unready()
        )
        yield GaugeMetricFamily(
            "firstcall_partitions",
            "Partitions that this process works on, over all topics. 0 for long: there are more processes than partitions.",
            len(verdict.lags),
        )
        yield GaugeMetricFamily(
            "firstcall_kafka_silent_seconds",
            "Since when the brokers have not answered. Nothing is lost meanwhile; events wait in Kafka or at their producers.",
            verdict.kafka_silent_seconds,
        )

    def _run(self) -> None:
        while True:
            # Set off again with each look; a thread that needs no interpreter waits for it, shows where all others hang, and ends.
            faulthandler.dump_traceback_later(FROZEN_AFTER_SECONDS, exit=True)
            resting_since = self._clock()
            if self._stop.wait(LOOK_SECONDS):
                faulthandler.cancel_dump_traceback_later()
                return
            if self._clock() - resting_since > PAUSED_SECONDS:
                self._start_anew()
            try:
                self.look()
            except Exception:
                # Whoever watches must not fall silent by a fault of its own; /healthz tells if it goes on.
                log.exception("watchdog_failed")

    def _start_anew(self) -> None:
        """Nobody could beat or go on while the whole process stood still."""
        self.heartbeats.renew()
        self._partitions.forget()
        self._phases.forget()

    def _lags(self, now: float, report: Report) -> dict[Partition, Lag]:
        """How far behind each partition is; as far as when the brokers last answered while they do not."""
        if self._brokers is None:
            return {}
        try:
            offsets = self._brokers.offsets(report.standings)
        except KafkaException:
            self._partitions.forget()
            self._phases.forget()
            return {place: lag for place, lag in self.verdict.lags.items() if place in report.standings}
        self._answered_at = self._clock()
        self._closer_left = CLOSER_AT_ONCE
        behind = {place: found for place, found in offsets.items() if found.end > found.committed}
        if report.phase != "running" or _waits(report, now):
            self._partitions.forget()
            still: dict[Partition, float] = {}
        else:
            marks = {place: (found.committed, report.standings[place].steps) for place, found in behind.items()}
            still = self._partitions.observe(now, marks)
        return {
            place: self._lag(now, place, found, report.standings[place], still.get(place, 0.0))
            for place, found in offsets.items()
        }

    def _lag(self, now: float, place: Partition, found: Offsets, standing: WorkProgress, still: float) -> Lag:
        if found.end <= found.committed:
            self._behind.pop(place, None)
            return Lag(standing.stage, 0, 0.0, 0.0)
        oldest = standing.oldest
        if still >= CLOSER_AFTER_SECONDS:
            if not self._look_closer(place, found):
                # Until it is known that there is something to do, it does not count as standing still.
                still = 0.0
            elif (first := self._closer[place][1]) is None:
                return Lag(standing.stage, 0, 0.0, 0.0)
            else:
                oldest = first.timestamp
        seen = self._behind.get(place)
        if seen is None or seen[0] != found.committed:
            seen = self._behind[place] = (found.committed, now)
        seconds = now - seen[1] if oldest is None else max(0.0, time.time() - oldest / 1000)
        return Lag(standing.stage, found.end - found.committed, seconds, still)

    def _look_closer(self, place: Partition, found: Offsets) -> bool:
        """Read the first message to do into `_closer`, None if the rest of the log holds none (as after a transaction).

        False if that could not be found out in this look.
        """
        known = self._closer.get(place)
        if known is not None and known[0] == found:
            return True
        if not self._closer_left:
            return False
        assert self._brokers is not None, "they have told of the offsets"
        self._closer_left -= 1
        try:
            self._closer[place] = (found, self._brokers.first_record(place, found.committed))
        except KafkaException:
            return False
        return True

    def _judged(self, now: float, report: Report, lags: Mapping[Partition, Lag]) -> tuple[list[str], list[str]]:
        stuck, unready = self.heartbeats.missing(), []
        silent = max(0.0, now - self._answered_at)
        if self._brokers is not None and silent > UNREADY_AFTER_SECONDS:
            unready.append(f"the brokers have not answered for {silent:.0f} s")
        if report.waiting is not None and now - report.waiting[1] > UNREADY_AFTER_SECONDS:
            whom, since, why = report.waiting
            unready.append(f"waits for {whom} since {now - since:.0f} s: {why or 'no answer'}")
        if report.phase == "running":
            self._phases.forget()
        else:
            unready.append(f"not running yet: {report.phase}")
            limit = STUCK_AFTER_SECONDS if report.phase == "recovering" else JOINED_WITHIN_SECONDS
            still = self._phases.observe(now, {report.phase: report.steps})[report.phase]
            if still > limit:
                stuck.append(f"{report.phase} has not gone on for {still:.0f} s")
        for (topic, partition), lag in lags.items():
            if lag.still > UNREADY_AFTER_SECONDS:
                found = f"{lag.stage} has not gone on with {topic}/{partition} for {lag.still:.0f} s, {lag.events:,} messages behind"
                (stuck if lag.still > STUCK_AFTER_SECONDS else unready).append(found)
        return stuck, unready

    def _tell(self) -> None:
        """Log when it stops or begins to be ready, once each."""
        unready = self.verdict.unready
        if bool(unready) != bool(self._was_unready):
            if unready:
                log.warning("not_ready", reasons=unready, **self.facts())
            else:
                log.info("ready", **self.facts())
        self._was_unready = unready


def _waits(report: Report, now: float) -> bool:
    """Whether it has waited for someone longer than is usual in the course of work."""
    return report.waiting is not None and now - report.waiting[1] > LOOK_SECONDS


def _end_process(reasons: list[str]) -> None:
    """End at once. What hangs could not be asked to end; where it hangs is shown for all threads."""
    log.critical("stuck", reasons=reasons, exit_code=EXIT_STUCK, advice="whoever runs this process starts it again")
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    sys.stderr.flush()
    os._exit(EXIT_STUCK)

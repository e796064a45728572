"""One fault tried on one deployment: load, strikes, waiting until nothing is left, and the comparison with the reference."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

import orjson
from kafka.errors import KafkaError

from deploy.audit import audit
from deploy.services import groups, topics
from deploy.services.groups import consumed_topics
from deploy.simulator import Population
from schemas.config.definitions import build
from schemas.config.sources import TEST_PREFIX
from schemas.errors import DeploymentError
from sinks.clickhouse import connect
from streams.runtime.shutdown import ENDED_WITHIN_SECONDS
from streams.topology import source_of
from tests.conftest import NOW_MS
from tests.faults.feed import Feed
from tests.faults.report import Row
from tests.faults.services import Stopwatch
from tests.support.contract_reader import rows, usage_differences
from tests.support.erasing import Deployment
from tests.support.reference import Published, Record, compute, differences
from tests.support.worlds import SECRETS

DEFINITIONS: Final = build({"internal": {"email_domains": ["firstcall.example"]}})
SEED: Final = int(os.environ.get(f"{TEST_PREFIX}SEED", "1"))
#: The session timeout of the consumer groups: short, so that many faults fit into a run.
SESSION_SECONDS: Final = 8
DRAINED_WITHIN_SECONDS: Final = 1_200.0
GOES_ON_WITHIN_SECONDS: Final = 240.0
LOOK_SECONDS: Final = 0.1
#: Events that come before anything is measured, so that starting processes is no part of it.
WARMING_UP: Final = 1_000
#: Events of the part that nothing strikes, at most: enough to measure a rate.
UNDISTURBED: Final = 60_000
#: A process shuts down in order within its own deadline after a signal, or ends itself with exit code 1. One second until it sees
#: the signal.
TERMINATED_WITHIN_SECONDS: Final = ENDED_WITHIN_SECONDS + 1


def population(events: int) -> Population:
    """The developers of a trial, the same each time."""
    return Population(seed=SEED, target_events=events, bad=20)


@cache
def reference(events: int) -> Published:
    """What must be published of them."""
    messages = population(events).messages()
    return compute((Record(source_of(topic), value, NOW_MS) for topic, value in messages), DEFINITIONS, SECRETS)


@dataclass
class Pace:
    """What was worked on in some time."""

    done: int = 0
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0


@contextmanager
def tried(
    broker: str,
    name: str,
    directory: Path,
    database: str,
    events: int,
    row: Row,
    *,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Trial]:
    """A trial with its workers, `worker-1` and on, and its sink running; killed in the end."""
    trial = Trial(broker, name, directory, database, events, row, environment)
    try:
        for number in range(1, workers + 1):
            trial.start(f"worker-{number}")
        trial.start_sink()
        yield trial
    finally:
        trial.stop()


class Trial(Deployment):
    """Workers and a sink, kept running as an orchestrator would: what ends by itself is started again."""

    def __init__(
        self,
        broker: str,
        name: str,
        directory: Path,
        database: str,
        events: int,
        row: Row,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(broker, name, directory, DEFINITIONS, database)
        self._options["session_seconds"] = SESSION_SECONDS
        self._variables |= {
            "FIRSTCALL_SESSION_SECONDS": str(SESSION_SECONDS),
            "FIRSTCALL_SINK_BATCH_ROWS": "5000",
            # A line for each batch, and for each commit of the sink.
            "FIRSTCALL_LOG_LEVEL": "debug",
            **(environment or {}),
        }
        self._options["log_level"] = "debug"
        self._environment = environment
        self.row = row
        self.random = Random(SEED)
        self.events = events
        #: What the workers did from when they went on after a strike until the next one.
        self.between = Pace()
        self._to_come = population(events).messages()
        self._feeds: list[Feed] = []
        self._since: Stopwatch | None = None

    # Load

    def load(self, per_second: float = 0, events: int | None = None) -> None:
        """Let so many events more come in from now on, by default all that are left, so many a second, by default all at once."""
        feed = Feed(self.settings, islice(self._to_come, events), per_second)
        self._feeds.append(feed)
        feed.start()

    def paced(self, strikes: Callable[[], None]) -> None:
        """Some events at once and undisturbed, the others at once under strikes, and how much slower that is."""
        self._worked_through(WARMING_UP, lambda: None)
        calm = Pace()

        def undisturbed() -> None:
            with self.pacing(calm):
                self.until(self.is_through, DRAINED_WITHIN_SECONDS, "nothing is left")

        before, meanwhile = (
            self._worked_through(min(UNDISTURBED, self.events // 2), undisturbed),
            self._worked_through(None, strikes),
        )
        self.row.note = (
            f"{before:,.0f} events/s before the first, {meanwhile:,.0f} while they go on: {meanwhile / before:.0%}; "
            f"in between the workers do {self.between.per_second / calm.per_second:.0%} of the messages"
        )

    def _worked_through(self, events: int | None, happens: Callable[[], None]) -> float:
        """Events a second, from the first of so many that come at once until worker and sink have nothing left of them."""
        watch, before = Stopwatch(), self.fed
        self.load(events=events)
        self.working()
        happens()
        self.drain()
        return (self.fed - before) / watch.seconds

    @contextmanager
    def pacing(self, pace: Pace) -> Iterator[None]:
        """Add the messages that the workers acknowledge meanwhile to a pace."""
        before, watch = self.acknowledgements(), Stopwatch()
        yield
        after = self.acknowledgements()
        if before is not None and after is not None:
            pace.done += after[0] - before[0]
            pace.seconds += watch.seconds

    @property
    def fed(self) -> int:
        """How many messages have come in."""
        return sum(feed.fed for feed in self._feeds)

    # Processes

    def kill_sink(self, number: int = signal.SIGKILL) -> int:
        """Send the sink a signal, by default SIGKILL, and return its exit code."""
        assert self._sink is not None, "the sink runs"
        process, self._sink = self._sink, None
        process.send_signal(number)
        return process.wait(60)

    def terminate(self, victim: str) -> float:
        """Terminate a worker, or the sink, and return the seconds until it has ended.

        Fails unless it ends in order, within its own deadline, and has acknowledged all that it was done with.
        """
        watch = Stopwatch()
        code = self.kill_sink(signal.SIGTERM) if victim == "sink" else self.kill(victim, signal.SIGTERM)
        seconds = watch.seconds
        assert code == 0, (victim, code, self.log(victim)[-3000:])
        assert seconds < TERMINATED_WITHIN_SECONDS, (victim, seconds, self.log(victim)[-3000:])
        if victim == "sink":
            log = self.log(victim)
            assert log.rfind("offsets_committed") > log.rfind("rows_written"), log[-3000:]
        elif not self._workers:
            # Of several, what one has done in a rebalance is another's to do again.
            assert not (undone := self._undone(victim)), undone
        return seconds

    def _undone(self, worker: str) -> dict[tuple[str, int], tuple[int, int]]:
        """Where a worker that has ended was done with more than is acknowledged: up to where, and what is acknowledged."""
        lines = (orjson.loads(line) for line in self.log(worker).splitlines() if line.startswith("{"))
        done = {
            (line["topic"], line["partition"]): line["next_offset"]
            for line in lines
            if line.get("event") == "batch_processed"
        }
        assert done, "it logs the batches that it has processed"
        with topics.administration(self.settings) as client:
            found = groups.committed_by(client, self.settings.streams_id)
        acknowledged = {(place.topic, place.partition): offset for place, offset in found.items()}
        return {
            place: (upto, acknowledged.get(place, 0))
            for place, upto in done.items()
            if acknowledged.get(place, 0) < upto
        }

    def start(self, worker: str, module: str = "", environment: Mapping[str, str] | None = None) -> None:
        super().start(worker, module, environment={**(self._environment or {}), **(environment or {})})

    def start_without_state(self, *workers: str) -> None:
        """Kill workers, delete their local state, and start them again."""
        for worker in workers:
            self.kill(worker)
        for worker in workers:
            shutil.rmtree(self.state_of(worker))
            self.start(worker)

    def state_of(self, worker: str) -> Path:
        """Where a worker keeps its tables."""
        return self._home / worker / "streams"

    def worker_process(self, worker: str) -> subprocess.Popen[bytes]:
        return self._workers[worker]

    def stop(self) -> None:
        for feed in self._feeds:
            feed.stop()
        super().stop()

    def revive(self) -> None:
        """Start again what has ended by itself, as a supervisor does."""
        for worker, process in list(self._workers.items()):
            if process.poll() is not None:
                self.row.restarts += 1
                del self._workers[worker]
                self.start(worker)
        if self._sink is not None and self._sink.poll() is not None:
            self.row.restarts += 1
            self.start_sink()

    # Waiting

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        watch = Stopwatch()
        while watch.seconds < seconds:
            self.revive()
            time.sleep(min(LOOK_SECONDS, max(0.0, seconds - watch.seconds)))

    def until(self, is_reached: Callable[[], bool], within: float, what: str) -> None:
        """Wait for something."""
        watch = Stopwatch()
        while not is_reached():
            assert watch.seconds < within, (
                f"not within {within:.0f} s: {what}; {self.acknowledgements()}; {self.ends()}"
            )
            self.pause(LOOK_SECONDS)

    def acknowledgements(self) -> tuple[int, int, int] | None:
        """(acknowledged by workers, acknowledged by the sink, left to do for both); None while no broker answers."""
        try:
            with topics.administration(self.settings, timeout_ms=5_000) as client:
                lags = groups.lags(client, consumed_topics(self.settings))
        except (KafkaError, DeploymentError, OSError):
            return None
        own = {
            group: sum(lag.committed for lag in lags if lag.group == group)
            for group in (self.settings.streams_id, f"{self.settings.streams_id}-sink")
        }
        workers, sink = own.values()
        return workers, sink, sum(lag.records for lag in lags)

    def working(self, acknowledged: int = 1) -> None:
        """Wait until the load has been taken up."""
        self.until(
            lambda: (found := self.acknowledgements()) is not None and min(found[:2]) >= acknowledged,
            GOES_ON_WITHIN_SECONDS,
            "the load is taken up",
        )

    def ends(self) -> str:
        """The ends of all logs."""
        return "\n".join(
            f"{file.name}:\n{file.read_text('utf-8', 'replace')[-2500:]}" for file in self._home.glob("*.log")
        )

    def is_idle(self) -> bool:
        """Whether nothing is left to do."""
        found = self.acknowledgements()
        return found is not None and not found[2]

    def is_through(self) -> bool:
        """Whether all that comes has come, and nothing is left to do."""
        return not any(feed.is_alive() for feed in self._feeds) and self.is_idle()

    # Faults

    @contextmanager
    def strike(self, who: str = "workers", times: int = 1, goes_on: bool = True) -> Iterator[None]:
        """A fault, from its beginning to its end, and the time until `who` (workers or sink) goes on after it."""
        before = self.acknowledgements()
        if before is not None:
            self.row.unacknowledged = max(self.row.unacknowledged, before[2])
        self.row.times += times
        yield
        self._since = Stopwatch()
        if goes_on:
            self.gone_on(who, before)

    def gone_on(self, who: str, before: tuple[int, int, int] | None) -> None:
        """Wait until more is acknowledged than before the strike, or nothing is left to be."""
        place = ("workers", "sink").index(who)
        # The acknowledgements of the last second before the strike may only be seen now.
        margin = self.acknowledgements()
        start = max(found[place] for found in (before or (0, 0, 0), margin or (0, 0, 0)))
        assert self._since is not None
        is_over = False

        def reached() -> bool:
            nonlocal is_over
            found = self.acknowledgements()
            is_over = found is not None and not found[2]
            return found is not None and (found[place] > start or is_over)

        self.until(reached, GOES_ON_WITHIN_SECONDS, f"the {who} go on")
        if not is_over:
            self.row.goes_on_seconds.append(round(self._since.seconds, 1))

    # Comparison

    def drain(self) -> None:
        """Wait until all that was fed, and all that follows from it, is in ClickHouse."""
        watch = self._since or Stopwatch()
        for feed in self._feeds:
            feed.finish()
        self.until(
            lambda: (found := self.acknowledgements()) is not None and not found[2],
            DRAINED_WITHIN_SECONDS,
            "nothing is left",
        )
        self.row.done_seconds = round(watch.seconds, 1)

    def compare(self) -> None:
        """Compare every published number with the reference, and let `firstcall audit` compare them too. Fails if any differs."""
        expected, actual = reference(self.events), self.published()
        with connect(self.address) as client:
            [(seen, apart)] = rows(client, "SELECT count(), uniqExact(message_id, alias_kind, alias) FROM events")
            usage = usage_differences(client)
        found = audit(self.address, DEFINITIONS)
        wrong = differences(expected, actual)
        self.row.events = self.fed
        self.row.lost = len(expected.events.keys() - actual.events.keys())
        self.row.doubled = seen - apart
        self.row.differences = len(wrong) + len(usage)
        self.row.audit = "agrees" if not found.wrong else f"{found.wrong} differ"
        self.row.keep()
        print(f"\n{self.row.line()}")
        assert expected.events and len(expected.events) == seen, (len(expected.events), seen)
        assert not wrong, wrong[:20]
        assert not usage, usage[:5]
        assert found.events == seen and not found.wrong, found.findings

    def finish(self) -> None:
        """Drain and compare."""
        self.drain()
        self.compare()

"""Full load for a long time, and what every process holds meanwhile: `make soak MINUTES=30 EVENTS=10000000`.

So many events lie in the input topics before the workers start, without state: a replay. When that is worked on sooner, a
producer stays ahead of the workers until the minutes are over. In the end `firstcall audit` compares every number.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.kafka.broker import LocalBroker
from deploy.local.kafka.runtime import jars_directory
from deploy.local.process.children import unwinding_signals
from deploy.services import groups, topics
from deploy.services.groups import consumed_topics
from schemas.config.settings import Settings
from sinks.clickhouse import Address
from sinks.migrations import migrate
from streams.topology import INPUTS
from tests.benchmarks.soak.crowd import Crowd
from tests.benchmarks.soak.samples import Sample, Trend, resident_mb, size_mb, trend
from tests.benchmarks.whole_job import ROOT, start, stop, variables
from tests.faults.feed import Feed
from tests.faults.services import process_of

#: So far the producer stays ahead of the workers.
AHEAD: Final = 200_000
SAMPLE_SECONDS: Final = 5.0
LINES: Final = 16
#: Waiting without end for what does not come helps nobody.
DRAINED_WITHIN_SECONDS: Final = 7_200.0
AUDITED_WITHIN_SECONDS: Final = 3_600.0
SAMPLES: Final = ROOT / ".firstcall" / "soak.jsonl"


def main() -> int:
    """Run it, print the table and the verdict. 0: memory is flat and the audit agrees."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--developers", type=int, default=8_000)
    parser.add_argument(
        "--month", type=int, default=2_500_000, help="events of each 28 days; people are new in the first only"
    )
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="firstcall-soak-") as name:
        directory = Path(name)
        with (
            LocalBroker(directory, jars=jars_directory(ROOT / ".firstcall")) as broker,
            LocalClickHouse(directory) as clickhouse,
        ):
            settings = Settings(
                kafka=broker.bootstrap, clickhouse=f"{clickhouse.url}/firstcall", data_dir=directory, config=None
            )
            migrate(Address.parse(settings.clickhouse_address))
            services = {"ClickHouse": process_of(clickhouse), "Kafka": process_of(broker)}
            with topics.administration(settings) as client:
                topics.ensure_topics(client, settings)
                soak = Soak(directory, settings, client, services, options)
                try:
                    soak.run()
                finally:
                    soak.end()
            return soak.verdict()


class Soak:
    """One run. `samples`: every look at it while workers had something to do."""

    def __init__(
        self,
        directory: Path,
        settings: Settings,
        client: KafkaAdminClient,
        services: dict[str, int],
        options: Namespace,
    ) -> None:
        self.samples: list[Sample] = []
        self._directory, self._settings, self._client, self._options = directory, settings, client, options
        self._consumed = consumed_topics(settings)
        self._inputs = {settings.topic(topic.name) for topic in INPUTS}
        self._services = services
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._worked_on = 0
        self._over = threading.Event()
        self._feed = Feed(settings, self._ahead(), timestamp=0)

    def run(self) -> None:
        """Write the history, start, look until all is worked on."""
        options = self._options
        self._feed.start()
        while self._feed.fed < options.events:
            self._feed.join(1.0)
        print(f"{self._feed.fed:,} events lie in Kafka, {size_mb(self._directory / 'kafka'):,.0f} MB", flush=True)
        for name in (*(f"worker-{number}" for number in range(1, options.workers + 1)), "sink"):
            self._running[name] = start(name.partition("-")[0], self._directory / name, self._settings)
        began = time.monotonic()
        SAMPLES.unlink(missing_ok=True)
        while not (self._look(began) and self._over.is_set()):
            time.sleep(SAMPLE_SECONDS)
            seconds = time.monotonic() - began
            if seconds > options.minutes * 60:
                self._over.set()
            if seconds > options.minutes * 60 + DRAINED_WITHIN_SECONDS:
                sys.exit(f"not worked on: {self.samples[-1]}")
        self._feed.finish()

    def end(self) -> None:
        """End all processes."""
        self._over.set()
        self._feed.stop()
        for name, process in self._running.items():
            if process.poll() is None:
                stop(process)
            shutil.copy(self._directory / name / "log", SAMPLES.with_name(f"soak-{name}.log"))

    def verdict(self) -> int:
        """Print the samples and run the audit. Returns the exit code."""
        loaded = [sample for sample in self.samples if sample.worker_lag and sample.events]
        for line in table(loaded):
            print(line)
        trends = {name: trend(loaded, name) for name in loaded[-1].memory}
        for line in verdicts(trends):
            print(line, flush=True)
        command = [sys.executable, "-m", "deploy.cli", "audit"]
        environment = variables(self._directory, self._settings)
        agrees = not subprocess.run(
            command, cwd=ROOT, env=environment, check=False, timeout=AUDITED_WITHIN_SECONDS
        ).returncode
        print("the audit agrees" if agrees else "the audit does not agree")
        return 0 if agrees and all(found.is_flat for found in trends.values()) else 1

    def _ahead(self) -> Iterator[tuple[str, bytes]]:
        """The events: first the history, then as many as keep the workers busy."""
        for number, message in enumerate(Crowd(self._options.developers, self._options.month).messages(), 1):
            yield message
            while number >= self._options.events and number - self._worked_on > AHEAD and not self._over.is_set():
                time.sleep(0.1)
            if number >= self._options.events and self._over.is_set():
                return

    def _look(self, began: float) -> bool:
        """Take a sample. True if nothing is left to do."""
        for name, process in self._running.items():
            if process.poll() is not None:
                sys.exit(f"{name} has ended; its log is kept beside {SAMPLES}")
        try:
            lags = groups.lags(self._client, self._consumed)
        except KafkaError as error:
            # On a busy machine an answer may take too long; the next one comes.
            print(f"no sample: {error}")
            return False
        workers, sink = self._consumed
        done = {
            group: sum(lag.committed for lag in lags if lag.group == group and lag.topic in self._inputs)
            for group in self._consumed
        }
        left = {group: sum(lag.records for lag in lags if lag.group == group) for group in self._consumed}
        self._worked_on = min(done.values())
        processes = {name: process.pid for name, process in self._running.items()} | self._services
        state = sum(size_mb(self._directory / name) for name in self._running if name != "sink")
        sample = Sample(
            round(time.monotonic() - began, 1),
            done[workers],
            done[sink],
            left[workers],
            left[sink],
            {name: round(resident_mb(process), 1) for name, process in processes.items()},
            {"state": round(state, 1), "ClickHouse": round(size_mb(self._directory / "clickhouse"), 1)},
        )
        self.samples.append(sample)
        with SAMPLES.open("a") as kept:
            kept.write(json.dumps(sample._asdict()) + "\n")
        return bool(done[workers]) and not any(left.values())


def table(samples: list[Sample]) -> Iterator[str]:
    """Some of the samples, evenly spread, as lines of a table."""
    names = list(samples[-1].memory)
    yield f"| minute | events | events/s | worker lag | sink lag | {' | '.join(names)} | state | ClickHouse's disk |"
    yield "|" + "--:|" * (len(names) + 7)
    shown = samples[:: max(1, len(samples) // LINES)]
    if shown[-1] is not samples[-1]:
        shown.append(samples[-1])
    before = Sample(0.0, 0, 0, 0, 0, {}, {})
    for sample in shown:
        rate = (sample.events - before.events) / max(1.0, sample.seconds - before.seconds)
        sizes = (*(sample.memory[name] for name in names), *sample.disk.values())
        yield (
            f"| {sample.seconds / 60:.1f} | {sample.events:,} | {rate:,.0f} | {sample.worker_lag:,} | {sample.sink_lag:,} | "
            f"{' | '.join(f'{size:,.0f} MB' for size in sizes)} |"
        )
        before = sample


def verdicts(trends: dict[str, Trend]) -> Iterator[str]:
    """What each process' memory did."""
    for name, found in trends.items():
        quarters = ", ".join(f"{quarter:,.0f}" for quarter in found.quarters)
        yield (
            f"{name}: {quarters} MB (medians of the quarters), {found.growth_percent:+.1f} % from the second to the last, "
            f"{found.slope:+.1f} MB per million events: {'flat' if found.is_flat else 'GROWS'}"
        )


if __name__ == "__main__":
    with unwinding_signals():
        sys.exit(main())

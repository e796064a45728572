"""How many events a second the whole job takes, and how much CPU: `make bench EVENTS=200000`.

All events lie in Kafka before the worker and the sink start. The clock runs from their start until every event and all that
follows from it is in ClickHouse, so it includes the start of two Python processes and of a consumer group.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path

from confluent_kafka import Producer

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.kafka.broker import LocalBroker
from deploy.local.kafka.runtime import jars_directory
from deploy.local.process.children import unwinding_signals
from deploy.services import groups, topics
from deploy.services.groups import consumed_topics
from deploy.simulator import Population
from schemas.config.settings import Settings
from sinks.clickhouse import Address, connect
from sinks.migrations import migrate

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="firstcall-bench-") as name:
        directory = Path(name)
        with (
            LocalBroker(directory, jars=jars_directory(ROOT / ".firstcall")) as broker,
            LocalClickHouse(directory) as clickhouse,
        ):
            _measure(directory, broker.bootstrap, f"{clickhouse.url}/firstcall", options.events, options.workers)


def _measure(directory: Path, kafka: str, clickhouse: str, events: int, workers: int) -> None:
    settings = Settings(kafka=kafka, clickhouse=clickhouse, data_dir=directory)
    migrate(Address.parse(clickhouse))
    with topics.administration(settings) as client:
        topics.ensure_topics(client, settings)
        _feed(settings, events)
        began = time.perf_counter()
        roles = [*(("worker", number) for number in range(workers)), ("sink", 0)]
        running = {f"{role}-{number}": start(role, directory / f"{role}-{number}", settings) for role, number in roles}
        streams_done = None
        try:
            while True:
                lags = groups.lags(client, consumed_topics(settings))
                if streams_done is None and not any(lag.records for lag in lags if lag.group == settings.app_id):
                    streams_done = time.perf_counter() - began
                if not any(lag.records for lag in lags):
                    break
                ended = [name for name, process in running.items() if process.poll() is not None]
                if ended:
                    sys.exit(f"{ended[0]} has ended; see {directory}")
                time.sleep(0.5)
            seconds = time.perf_counter() - began
            cpu = {name: stop(process) for name, process in running.items()}
        finally:
            for process in running.values():
                process.kill()
    rows = connect(Address.parse(clickhouse)).query("SELECT count() FROM events").result_rows[0][0]
    streams = sum(spent for name, spent in cpu.items() if name.startswith("worker"))
    print(f"events                      {events:>10,}   ({rows:,} distinct rows in ClickHouse)")
    print(
        f"whole job                   {seconds:>10.1f} s   {events / seconds:>8,.0f} events/s on {os.cpu_count()} cores"
    )
    print(f"  of which the streams      {streams_done or seconds:>10.1f} s")
    print(f"CPU of the workers          {streams:>10.1f} s   {events / streams:>8,.0f} events/s per core")
    print(f"CPU of the sink             {cpu['sink-0']:>10.1f} s   {events / cpu['sink-0']:>8,.0f} events/s per core")


def _feed(settings: Settings, events: int) -> None:
    producer = Producer({"bootstrap.servers": settings.brokers, "linger.ms": 20, "compression.type": "lz4"})
    for topic, value in Population(seed=1, target_events=events).messages():
        while True:
            try:
                producer.produce(settings.topic(topic), value)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()


def start(role: str, data_dir: Path, settings: Settings) -> subprocess.Popen[bytes]:
    """Start a worker or sink with the defaults of Firstcall, and its own directory for state and log."""
    data_dir.mkdir()
    with (data_dir / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", role],
            cwd=ROOT,
            env=variables(data_dir, settings),
            stdout=log,
            stderr=log,
        )


def variables(data_dir: Path, settings: Settings) -> dict[str, str]:
    """The environment of a process of the benchmark."""
    return {
        **os.environ,
        "FIRSTCALL_KAFKA": settings.brokers,
        "FIRSTCALL_CLICKHOUSE": settings.clickhouse_address,
        "FIRSTCALL_DATA_DIR": str(data_dir),
        "FIRSTCALL_SECRETS": "only for the benchmark",
    }


def stop(process: subprocess.Popen[bytes]) -> float:
    """End the process and give the CPU seconds that it took, its threads included."""
    process.terminate()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    with unwinding_signals():
        main()

"""The running streams on real Kafka: worker processes, fed with records, read back from the row topics."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kafka
import yaml
from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient

from deploy.services import groups, topics
from deploy.services.groups import consumed_topics
from schemas.config.definitions import Definitions
from schemas.config.settings import Settings
from streams.messages.outbox import Message
from streams.topology import INPUTS, ROWS
from tests.conftest import free_port
from tests.support.kafka_log import records
from tests.support.published import RowTopics
from tests.support.reference import Record
from tests.support.worlds import SECRETS, as_bytes

ROOT = Path(__file__).resolve().parents[2]
IDLE_WITHIN_SECONDS = 60.0


class Pipeline:
    """One deployment of the streams: its own topics and group on a shared broker, its own workers.

    `program`: what Python runs as `firstcall`.
    """

    program: tuple[str, ...] = ("-m", "deploy.cli")

    def __init__(self, broker: str, name: str, directory: Path, definitions: Definitions, partitions: int) -> None:
        config = directory / "definitions.yaml"
        config.write_text(yaml.safe_dump(definitions.model_dump(mode="json")))
        self._directory = directory
        self._options: dict[str, Any] = {
            "kafka": broker,
            "config": str(config),
            "topic_prefix": f"{name}.",
            "app_id": name,
            "partitions": partitions,
            "secrets": ",".join(secret.decode() for secret in SECRETS),
            "batch_size": 500,
            # A killed worker is replaced sooner than by default.
            "session_seconds": 8,
        }
        self.settings = Settings(**self._options)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._ports: dict[str, int] = {}
        with topics.administration(self.settings) as client:
            self._create_inputs(client)
            topics.ensure_topics(client, self.settings)

    def _create_inputs(self, client: KafkaAdminClient) -> None:
        """Create the input topics for worlds some of whose days are still to come, which Kafka refuses by default."""
        creations = {self.settings.topic(topic.name): topics._creation(self.settings, topic) for topic in INPUTS}
        for creation in creations.values():
            creation["configs"]["message.timestamp.after.max.ms"] = str(2**63 - 1)
        client.create_topics(creations, raise_errors=False)

    def start(self, worker: str, module: str = "", environment: Mapping[str, str] | None = None) -> None:
        """Start a worker of that name; a name that was used before keeps its state."""
        variables = {f"FIRSTCALL_{name.upper()}": str(value) for name, value in self._options.items()}
        variables["FIRSTCALL_DATA_DIR"] = str(self._directory / worker)
        self._ports[worker] = free_port()
        variables["FIRSTCALL_METRICS_PORT"] = str(self._ports[worker])
        with (self._directory / f"{worker}.log").open("ab") as log:
            self._workers[worker] = subprocess.Popen(
                [sys.executable, *(("-m", module) if module else self.program), "worker"],
                cwd=ROOT,
                env={**os.environ, **variables, **(environment or {})},
                stdout=log,
                stderr=log,
            )

    def url(self, worker: str) -> str:
        """The address of a worker's metrics and health."""
        return f"http://127.0.0.1:{self._ports[worker]}"

    def ended(self, worker: str, within_seconds: float) -> int:
        """Wait until a worker ends by itself, and return its exit code."""
        code = self._workers[worker].wait(within_seconds)
        del self._workers[worker]
        return code

    def state(self, worker: str) -> Path:
        """The folder of a worker's tables."""
        return self._directory / worker / "streams"

    def kill(self, worker: str, number: int = signal.SIGKILL) -> int:
        """Send a signal, by default SIGKILL, and return the exit code."""
        process = self._workers.pop(worker)
        process.send_signal(number)
        return process.wait(60)

    def send(self, worker: str, number: signal.Signals) -> None:
        """Send a signal, and go on."""
        self._workers[worker].send_signal(number)

    def runs(self, worker: str) -> bool:
        """Whether a worker that was started has not ended by itself."""
        return self._workers[worker].poll() is None

    def stop(self) -> None:
        """Kill all workers that still run."""
        for worker in list(self._workers):
            self.kill(worker)

    def feed(self, records: Iterable[Record], *, transaction: str = "") -> None:
        """Write records to the input topics, without a key."""
        values = ((one.topic, as_bytes(one)) for one in records)
        messages = ((f"{topic}-events", one.value, one.timestamp_ms) for topic, one in values)
        self.feed_values(messages, transaction=transaction)

    def feed_values(self, values: Iterable[tuple[str, Any, int]], *, transaction: str = "") -> None:
        """Write (topic, value, timestamp in ms) to the input topics. `transaction`: as one of a producer with this name."""
        refused: list[str] = []
        options = {"transactional.id": transaction} if transaction else {}
        producer = Producer({"bootstrap.servers": self.settings.brokers, "linger.ms": 5, **options})
        if transaction:
            producer.init_transactions(30)
            producer.begin_transaction()
        for topic, value, timestamp in values:
            while True:
                try:
                    producer.produce(
                        self.settings.topic(topic),
                        value,
                        timestamp=timestamp,
                        on_delivery=lambda error, _: refused.append(error.str()) if error else None,
                    )
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(30) == 0
        if transaction:
            producer.commit_transaction(30)
        assert not refused, refused[:3]

    def delete(self, topic: str) -> None:
        """Delete all records of a topic, as age does."""
        name = self.settings.topic(topic)
        with topics.administration(self.settings) as client:
            # -1: up to the end.
            client.delete_records(
                {kafka.TopicPartition(name, number): -1 for number in range(self.settings.partitions)}
            )

    def progress(self) -> tuple[int, int]:
        """(records acknowledged, records still to be processed) over all topics that the workers read."""
        group = self.settings.app_id
        consumed = {group: consumed_topics(self.settings)[group]}
        with topics.administration(self.settings) as client:
            lags = groups.lags(client, consumed)
        return sum(lag.committed for lag in lags), sum(lag.records for lag in lags)

    def await_idle(self) -> None:
        """Wait until every record and every message that derives from it is processed."""
        self._wait(lambda _, left: not left)

    def advance(self, records: int) -> None:
        """Wait until so many more records are acknowledged, or none is left."""
        goal = self.progress()[0] + records
        self._wait(lambda done, left: done >= goal or bool(done and not left))

    def _wait(self, is_reached: Callable[[int, int], bool]) -> None:
        """Wait for a progress. Fails when a worker ends, or the time is over."""
        end = time.monotonic() + IDLE_WITHIN_SECONDS
        while not is_reached(*self.progress()):
            for worker, process in self._workers.items():
                assert process.poll() is None, f"{worker} has ended:\n{self.log(worker)[-3000:]}"
            assert time.monotonic() < end, f"not idle: {self.progress()}"
            time.sleep(0.2)

    def log(self, worker: str) -> str:
        """What a worker has printed."""
        return (self._directory / f"{worker}.log").read_text("utf-8", "replace")

    def rows(self) -> RowTopics:
        """Everything on the row topics."""
        read = RowTopics()
        for topic in ROWS:
            read.add(Message(topic.name, key, value) for key, value in self._records(self.settings.topic(topic.name)))
        return read

    def _records(self, topic: str) -> Iterator[tuple[bytes, bytes]]:
        for message in records(self.settings.brokers, topic):
            key, value = message.key(), message.value()
            if isinstance(key, bytes) and value is not None:
                yield key, value


@contextmanager
def running(
    broker: str, name: str, directory: Path, definitions: Definitions, *, partitions: int = 3, workers: int = 1
) -> Iterator[Pipeline]:
    """A pipeline with so many workers, `worker-1` and on, killed at the end."""
    pipeline = Pipeline(broker, name, directory, definitions, partitions)
    try:
        for number in range(1, workers + 1):
            pipeline.start(f"worker-{number}")
        yield pipeline
    finally:
        pipeline.stop()

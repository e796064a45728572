"""The local broker is Apache Kafka: it keeps its data over stops and kills, and never outlives its parent."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from kafka.admin import KafkaAdminClient

from deploy.local.kafka.broker import LocalBroker, serves
from deploy.local.kafka.runtime import Available, Missing, availability, jars_directory
from schemas.errors import DeploymentError

ROOT = Path(__file__).resolve().parents[2]
#: Kafka's jars stay where `make demo` keeps them: fetched once for both.
JARS = jars_directory(ROOT / ".firstcall")
LARGE = b"x" * (8 * 1024 * 1024)

pytestmark = pytest.mark.kafka


@pytest.fixture
def java() -> None:
    found = availability(ROOT / ".firstcall")
    if not (isinstance(found, Available) and found.kind == "java"):
        pytest.skip(f"no Kafka on Java: {found.reason if isinstance(found, Missing) else found.detail}")


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the path: what a test does not link there is not installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def create(bootstrap: str, topic: str) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})


def produce(bootstrap: str, topic: str, *values: bytes, timestamp_ms: int = 0) -> None:
    options = {"log_level": 0, "message.max.bytes": 2 * len(LARGE), "topic.metadata.propagation.max.ms": 1000}
    producer = Producer({"bootstrap.servers": bootstrap, **options})
    errors: list[KafkaError | None] = []
    for value in values:
        producer.produce(topic, value, timestamp=timestamp_ms, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0
    failed = next((error for error in errors if error is not None), None)
    if failed is not None:
        raise KafkaException(failed)


def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[bytes] = []
    give_up_at = time.monotonic() + 30
    while len(found) < count and time.monotonic() < give_up_at:
        found += [bytes(message.value() or b"") for message in consumer.consume(count, 1) if message.error() is None]
    consumer.close()
    return found


def processes_of(data_dir: Path) -> list[int]:
    """The processes whose command names the directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"kafka.Kafka" in command and str(data_dir).encode() in command:
            found.append(int(entry.name))
    return found


def test_it_reports_what_is_missing(only: Path) -> None:
    found = availability(only)
    assert isinstance(found, Missing)
    assert found.reason == "Java is not installed, and no Docker engine answers"
    assert "FIRSTCALL_KAFKA" in found.what_to_do
    with pytest.raises(DeploymentError, match="Java is not installed"):
        LocalBroker(only, jars=JARS).start()


def test_an_old_java_is_no_java(only: Path) -> None:
    (only / "java").write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    (only / "java").chmod(0o755)
    found = availability(only)
    assert isinstance(found, Missing)
    assert found.reason.startswith("Java 8 is too old")


def test_a_taken_port_is_named(tmp_path: Path, java: None) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DeploymentError, match=f"port {port} on loopback is taken"):
            LocalBroker(tmp_path, port, jars=JARS).start()


def test_it_keeps_its_data_and_its_directory_to_itself(tmp_path: Path, java: None) -> None:
    broker = LocalBroker(tmp_path, jars=JARS)
    with broker:
        assert serves(broker.bootstrap)
        create(broker.bootstrap, "kept")
        # A record of long ago stays, as does a large one.
        produce(broker.bootstrap, "kept", b"old", timestamp_ms=1_000)
        produce(broker.bootstrap, "kept", LARGE)
        with pytest.raises(KafkaException) as refused:
            produce(broker.bootstrap, "never-created", b"x")
        assert refused.value.args[0].code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}
        with pytest.raises(DeploymentError, match=f"process {os.getpid()} serves Kafka from it at {broker.bootstrap}"):
            LocalBroker(tmp_path, jars=JARS).start()
        first = broker.bootstrap
    assert not serves(first)
    assert processes_of(tmp_path) == []
    with broker:
        assert consume(broker.bootstrap, "kept", 2) == [b"old", LARGE]
        create(broker.bootstrap, "another")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
def test_it_ends_with_a_killed_parent_and_goes_on_with_its_data(tmp_path: Path, java: None) -> None:
    # parent ── kill -9 ──▶ no process is left ── start ──▶ the data is there
    script = (
        "import sys, time; from pathlib import Path; from deploy.local.kafka.broker import LocalBroker\n"
        "running = LocalBroker(Path(sys.argv[1]), jars=Path(sys.argv[2])); running.start()\n"
        "print(running.bootstrap, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tmp_path), str(JARS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        bootstrap = parent.stdout.readline().decode().strip()
        create(bootstrap, "kept")
        produce(bootstrap, "kept", b"before")
        assert processes_of(tmp_path)
        parent.send_signal(signal.SIGKILL)
    give_up_at = time.monotonic() + 30
    while processes_of(tmp_path) and time.monotonic() < give_up_at:
        time.sleep(0.1)
    assert processes_of(tmp_path) == []
    with LocalBroker(tmp_path, jars=JARS) as again:
        assert consume(again.bootstrap, "kept", 1) == [b"before"]
        # The machine goes down with everything on it, every process above it too.
        for pid in processes_of(tmp_path):
            os.kill(pid, signal.SIGKILL)
        assert again.process.wait(30) not in {None, 0}
    with LocalBroker(tmp_path, jars=JARS) as once_more:
        assert consume(once_more.bootstrap, "kept", 1) == [b"before"]


@pytest.mark.docker
def test_the_official_image_serves_the_same(tmp_path: Path, only: Path) -> None:
    found = shutil.which("docker", path=f"{os.defpath}:/usr/local/bin:/opt/homebrew/bin")
    if found is not None:
        (only / "docker").symlink_to(found)
    usable = availability(tmp_path)
    if isinstance(usable, Missing):
        pytest.skip(f"no Docker engine: {usable.reason}")
    with LocalBroker(tmp_path) as broker:
        create(broker.bootstrap, "kept")
        produce(broker.bootstrap, "kept", b"one")
        assert consume(broker.bootstrap, "kept", 1) == [b"one"]

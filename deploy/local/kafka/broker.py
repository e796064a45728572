"""Runs Apache Kafka on this machine: one KRaft node on loopback, from its jars, or from its image where there is no Java."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import time
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, Self

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.local.kafka.runtime import (
    Java,
    Missing,
    availability,
    find_java,
    jars_directory,
    kafka_version,
    resolve_jars,
)
from deploy.local.process.child_process import ChildProcess
from deploy.local.process.directory_lock import DirectoryLock, Holder
from schemas.errors import DeploymentError

LOOPBACK: Final = "127.0.0.1"
SERVES_WITHIN_SECONDS: Final = 120.0

_PROPERTIES: Final = Path(__file__).resolve().parent / "broker.properties"
_LOGGING: Final = Path(__file__).resolve().parent / "log4j2.properties"
#: There is one node, so any valid id will do.
_CLUSTER_ID: Final = "Zmlyc3RjYWxsLWxvY2FsLQ"
_DATA_IN_CONTAINER: Final = "/var/lib/kafka/data"
_HEAP: Final = ("-Xms128m", "-Xmx768m")
#: The C1 compiler alone halves the processor time of a start, and of the first million records.
_JVM: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true")


class LocalBroker:
    """Apache Kafka as a child process; a context, or `start` and `stop`.

    Its data stays in `data_dir/kafka` and is kept by the next broker of that directory, even after `kill -9`.
    Without a port a free one is taken. `jars` is where its jars are kept, by default in the data directory.
    """

    def __init__(self, data_dir: Path, port: int | None = None, *, jars: Path | None = None) -> None:
        self._home = (data_dir / "kafka").absolute()
        self._jars = jars or jars_directory(data_dir)
        self._given_port = port
        self._port = 0
        self._lock: DirectoryLock | None = None
        self._process: ChildProcess | None = None
        self._data_dir = data_dir

    @property
    def bootstrap(self) -> str:
        assert self._port, "the broker is started"
        return f"{LOOPBACK}:{self._port}"

    @property
    def process(self) -> ChildProcess:
        """Its process, once it is started. The log holds warnings and errors."""
        assert self._process is not None, "the broker is started"
        return self._process

    def start(self) -> None:
        """Fetch its jars if they are missing, start it, and return when it serves. Raises DeploymentError."""
        found = availability(self._data_dir, jars=self._jars)
        if isinstance(found, Missing):
            raise DeploymentError(f"{found.reason}; {found.what_to_do}")
        self._lock = DirectoryLock.acquire(self._home, "Kafka")
        try:
            self._port, controller_port = _ports(self._given_port)
            self._lock.write_holder(Holder(os.getpid(), self.bootstrap))
            run = self._java_command(controller_port) if found.kind == "java" else self._docker_command()
            log = self._home / "broker.log"
            self._process = ChildProcess(run, log, os.environ, new_log=True, keep_open=[self._lock.descriptor])
            self._await_service()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it. Repeating it changes nothing."""
        if self._process is not None:
            self._process.end()
            self._process = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _properties(self, controller_port: int, data: str) -> Mapping[str, str]:
        return broker_properties(LOOPBACK, self._port, controller_port, data)

    def _java_command(self, controller_port: int) -> list[str]:
        resolve_jars(self._jars)
        java = find_java()
        assert isinstance(java, Java), "looked for before"
        data = self._home / "data"
        properties = self._properties(controller_port, str(data))
        configured = self._home / "server.properties"
        configured.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        run = [java.path, *_HEAP, *_JVM]
        run += [f"-Dlog4j2.configurationFile={_LOGGING}", "-cp", f"{self._jars.absolute()}/*"]
        if not (data / "meta.properties").exists():
            _format(run, configured)
        return [*run, "kafka.Kafka", str(configured)]

    def _docker_command(self) -> list[str]:
        name = f"firstcall-kafka-{zlib.crc32(str(self._home).encode()):08x}"
        properties = broker_properties("0.0.0.0", self._port, 9093, _DATA_IN_CONTAINER)  # noqa: S104 - of the container
        variables = {f"KAFKA_{key.replace('.', '_').upper()}": value for key, value in properties.items()}
        variables |= {"CLUSTER_ID": _CLUSTER_ID, "KAFKA_HEAP_OPTS": " ".join(_HEAP)}
        run = ["docker", "run", "--rm", "--name", name, "--publish", f"{LOOPBACK}:{self._port}:{self._port}"]
        run += ["--volume", f"{name}:{_DATA_IN_CONTAINER}"]
        for key, value in variables.items():
            run += ["--env", f"{key}={value}"]
        # A killed run may have left a container of this name.
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
        return [*run, f"apache/kafka:{kafka_version()}"]

    def _await_service(self) -> None:
        process = self.process
        gives_up_at = time.monotonic() + SERVES_WITHIN_SECONDS
        while not serves(self.bootstrap):
            if process.exit_code is not None:
                raise DeploymentError(
                    f"Kafka ended while it started. The end of {process.log}:\n{process.last_log_lines()}"
                )
            if time.monotonic() > gives_up_at:
                raise DeploymentError(f"Kafka does not answer after {SERVES_WITHIN_SECONDS:.0f} s; see {process.log}")
            time.sleep(0.05)


def serves(bootstrap: str) -> bool:
    """Whether a broker answers there and has registered itself, so that topics can be created."""
    host, _, port = bootstrap.rpartition(":")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1)
        if probe.connect_ex((host, int(port))):
            return False
    # The client logs each failed attempt.
    log = logging.getLogger("kafka")
    before, log.disabled = log.disabled, True
    try:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=5_000)) as client:
            return bool(client.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        log.disabled = before


def broker_properties(address: str, port: int, controller_port: int, data: str) -> Mapping[str, str]:
    """The configuration of the one node, by Kafka's names. It listens on `address`; clients always connect to loopback."""
    lines = [line for line in _PROPERTIES.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines) | {
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{address}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "log.dirs": data,
    }


def _ports(given: int | None) -> tuple[int, int]:
    """A port for clients, the given one if any, and a port for the controller. Raises DeploymentError when the given one is taken."""
    with (
        closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as clients,
        closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as controller,
    ):
        # As Kafka does: lingering connections of an earlier broker are no obstacle.
        clients.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            clients.bind((LOOPBACK, given or 0))
        except OSError:
            raise DeploymentError(
                f"port {given} on loopback is taken by something else; set FIRSTCALL_BROKER_PORT to another one"
            ) from None
        controller.bind((LOOPBACK, 0))
        return clients.getsockname()[1], controller.getsockname()[1]


def _format(run: list[str], configured: Path) -> None:
    """Prepare an empty data directory. Raises DeploymentError."""
    formatting = subprocess.run(
        [*run, "kafka.tools.StorageTool", "format", "--cluster-id", _CLUSTER_ID, "--config", str(configured)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if formatting.returncode:
        raise DeploymentError(f"Kafka cannot prepare its data directory: {formatting.stdout.strip()[-500:]}")

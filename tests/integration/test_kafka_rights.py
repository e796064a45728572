"""A whole deployment, each process a user of its own with the rights that `deploy/kafka-acls.sh` gives it, over TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.kafka.runtime import Missing, availability, jars_directory
from schemas.config.kafka_options import KafkaOptions
from sinks.clickhouse import Address, connect
from tests.conftest import JARS_HOME
from tests.support.certificates import Authority
from tests.support.secure_broker import SecureBroker

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "kafka-acls.sh"
PREFIX, APP = "staging.", "acme"
USERS = ("migrate", "worker", "sink", "producer", "alerts", "operator")
IDLE_WITHIN_SECONDS = 120.0
PASSWORD = "a-password-of-{user}"


def rights_in_the_script(folder: Path) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """What the script has Kafka's own tool grant: (user, (resource, operation, name or `prefix*`))."""
    tool, arguments = folder / "tool", folder / "arguments"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {arguments}\n')
    tool.chmod(0o755)
    given = {"BOOTSTRAP": "kafka:1", "APP_ID": APP, "TOPIC_PREFIX": PREFIX, "COMMAND": str(tool)}
    subprocess.run(["sh", str(SCRIPT)], env={**os.environ, **given}, check=True)
    for line in arguments.read_text().splitlines():
        words = line.split()
        assert words[:2] == ["--bootstrap-server", "kafka:1"]
        options = dict(pairwise(words))
        user = options["--allow-principal"].removeprefix("User:")
        resource = "group" if "--group" in options else "topic"
        star = "*" if options.get("--resource-pattern-type") == "prefixed" else ""
        for option, value in pairwise(words):
            if option == "--operation":
                # The administrators' libraries write DescribeConfigs as DESCRIBE_CONFIGS.
                operation = value.replace("Configs", "_Configs")
                yield user, (resource, operation, options[f"--{resource}"] + star)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SecureBroker, Authority]]:
    found = availability(JARS_HOME)
    if isinstance(found, Missing) or found.kind != "java":
        pytest.skip("no Kafka to be configured: it takes Java and Kafka's jars")
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    with SecureBroker(tmp_path_factory.mktemp("guarded"), jars_directory(JARS_HOME), authority) as running:
        for user in USERS:
            running.add_user(f"firstcall-{user}", PASSWORD.format(user=user))
        for user, right in rights_in_the_script(tmp_path_factory.mktemp("script")):
            running.grant(user, [right])
        yield running, authority


class Deployment:
    """Runs commands of Firstcall, each as its own user."""

    def __init__(self, guarded: tuple[SecureBroker, Authority], clickhouse: str, folder: Path) -> None:
        self._broker, self._authority = guarded
        self._folder = folder
        self._clickhouse = clickhouse
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def options(self, user: str) -> dict[str, Any]:
        return {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_username": f"firstcall-{user}",
            "sasl_password": PASSWORD.format(user=user),
            "ssl_ca_file": str(self._authority.file),
        }

    def environment(self, user: str) -> dict[str, str]:
        return {
            **os.environ,
            "FIRSTCALL_KAFKA": self._broker.logins,
            "FIRSTCALL_KAFKA_OPTIONS": json.dumps(self.options(user)),
            "FIRSTCALL_CLICKHOUSE": self._clickhouse,
            "FIRSTCALL_TOPIC_PREFIX": PREFIX,
            "FIRSTCALL_APP_ID": APP,
            "FIRSTCALL_SECRETS": "0123456789abcdef0123456789abcdef",
            "FIRSTCALL_DATA_DIR": str(self._folder / user),
            "FIRSTCALL_SINK_BATCH_SECONDS": "0.1",
        }

    def run(self, user: str, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "deploy.cli", *command],
            cwd=ROOT,
            env=self.environment(user),
            capture_output=True,
            text=True,
            timeout=IDLE_WITHIN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, user: str) -> None:
        with (self._folder / f"{user}.log").open("wb") as log:
            command = [sys.executable, "-m", "deploy.cli", user]
            self._running[user] = subprocess.Popen(
                command, cwd=ROOT, env=self.environment(user), stdout=log, stderr=log
            )

    def refusals(self, user: str, topic: str, value: bytes = b"{}") -> list[KafkaError]:
        """Write one message as a user: the errors."""
        errors: list[KafkaError] = []
        login = KafkaOptions(**self.options(user)).for_librdkafka()
        producer = Producer({"bootstrap.servers": self._broker.logins, "message.timeout.ms": 20_000, **login})
        producer.produce(
            f"{PREFIX}{topic}", value, on_delivery=lambda error, _: errors.append(error) if error else None
        )
        assert producer.flush(30) == 0
        return errors

    def wait(self, reached: Callable[[], bool]) -> None:
        ends = time.monotonic() + IDLE_WITHIN_SECONDS
        while not reached():
            for user, process in self._running.items():
                assert process.poll() is None, (self._folder / f"{user}.log").read_text()[-3000:]
            logs = {user: (self._folder / f"{user}.log").read_text()[-1500:] for user in self._running}
            assert time.monotonic() < ends, logs
            time.sleep(0.3)

    def logged(self, user: str) -> str:
        return (self._folder / f"{user}.log").read_text()

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()


@contextmanager
def deployed(guarded: tuple[SecureBroker, Authority], url: str, folder: Path) -> Iterator[Deployment]:
    running = Deployment(guarded, url, folder)
    try:
        yield running
    finally:
        running.stop()


@pytest.mark.long
@pytest.mark.kafka
def test_each_process_does_its_work_with_its_rights_and_no_others(guarded, tmp_path):
    with LocalClickHouse(tmp_path) as served, deployed(guarded, f"{served.url}/acme", tmp_path) as deployment:
        deployment.run("migrate", "migrate")
        for user in ("worker", "sink", "alerts"):
            deployment.start(user)
        for number in range(5):
            event = {
                "message_id": f"m{number}",
                "name": "Signed Up",
                "user_id": f"u{number}",
                "time": "2026-05-01T10:00:00Z",
            }
            assert deployment.refusals("producer", "web-events", json.dumps(event).encode()) == []
        with connect(Address.parse(f"{served.url}/acme")) as client:
            asked = "SELECT (SELECT uniqExact(user_id) FROM events), (SELECT uniqExact(id) FROM profile_rows WHERE kind = 'user')"
            deployment.wait(lambda: list(client.query(asked).result_rows[0]) == [5, 5])
        assert "kafka" in deployment.run("operator", "doctor", "kafka", "worker", "sink", "lag")
        for user, topic in (
            ("sink", "web-events"),
            ("sink", f"{APP}-profiles"),
            ("producer", f"{APP}-alias-updates"),
            ("producer", "erasures"),
            ("worker", "web-events"),
            ("worker", "erasures"),
            ("alerts", "web-events"),
            ("alerts", f"{APP}-profiles"),
        ):
            refused = [error.code() for error in deployment.refusals(user, topic)]
            assert refused == [KafkaError.TOPIC_AUTHORIZATION_FAILED], f"{user} writes to {topic}"
        for user in USERS[:5]:
            assert PASSWORD.format(user=user) not in "".join(
                deployment.logged(each) for each in ("worker", "sink", "alerts")
            )
        assert "uthoriz" not in deployment.logged("alerts"), deployment.logged("alerts")[-2000:]

"""A whole deployment that can be asked to erase: workers, a sink, the command, and a search through all that they keep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.services import groups, topics
from deploy.services.groups import consumed_topics
from schemas.config.definitions import Definitions
from sinks.clickhouse import Address, connect
from streams.topology import NOTIFICATIONS, ROWS
from tests.support.contract_reader import read_contract
from tests.support.kafka_log import records
from tests.support.pipeline import IDLE_WITHIN_SECONDS, ROOT, Pipeline
from tests.support.reference import Published
from tests.support.worlds import SECRETS


class Deployment(Pipeline):
    """A pipeline with a sink beside its workers, and a database of its own."""

    def __init__(self, broker: str, name: str, directory: Path, meaning: Definitions, database: str) -> None:
        super().__init__(broker, name, directory, meaning, 3)
        self.address = Address.parse(database)
        self._home = directory
        self._sink: subprocess.Popen[bytes] | None = None
        self._variables = {
            **os.environ,
            "FIRSTCALL_KAFKA": broker,
            "FIRSTCALL_CONFIG": str(directory / "definitions.yaml"),
            "FIRSTCALL_TOPIC_PREFIX": f"{name}.",
            "FIRSTCALL_APP_ID": name,
            "FIRSTCALL_SECRETS": ",".join(secret.decode() for secret in SECRETS),
            "FIRSTCALL_CLICKHOUSE": database,
            "FIRSTCALL_DATA_DIR": str(directory / "sink"),
        }

    def start_sink(self) -> None:
        with (self._home / "sink.log").open("ab") as log:
            self._sink = subprocess.Popen(self._command("sink"), cwd=ROOT, env=self._variables, stdout=log, stderr=log)

    def stop(self) -> None:
        super().stop()
        if self._sink is not None:
            self._sink.kill()
            self._sink.wait(30)

    def arrive(self) -> None:
        """Wait until all that was fed, and all that follows from it, is in ClickHouse."""
        self.await_idle()
        group = f"{self.settings.app_id}-sink"
        end = time.monotonic() + IDLE_WITHIN_SECONDS
        while True:
            with topics.administration(self.settings) as client:
                lags = groups.lags(client, {group: consumed_topics(self.settings)[group]})
            if not any(lag.records for lag in lags):
                return
            assert time.monotonic() < end, f"the sink does not arrive: {self.log('sink')[-3000:]}"
            time.sleep(0.2)

    def erase(self, *arguments: str) -> tuple[int, str]:
        """Erase; its exit code and all that it prints, which is kept as its log."""
        return self.run("erase", *arguments)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command; its exit code and all that it prints, which is kept as its log."""
        done = subprocess.run(
            self._command(*arguments),
            cwd=ROOT,
            env=self._variables,
            check=False,
            capture_output=True,
            text=True,
            timeout=150,
        )
        return done.returncode, self._kept(done.stdout + done.stderr)

    def interrupted_erase(self, line: str, *arguments: str) -> str:
        """Run the command, and kill it as soon as it has printed a line that begins so; what it printed."""
        printed = ""
        with subprocess.Popen(
            self._command("erase", *arguments),
            cwd=ROOT,
            env=self._variables | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running:
            assert running.stdout is not None
            for each in running.stdout:
                printed += each
                if line in each:
                    running.send_signal(signal.SIGKILL)
            running.wait(60)
        assert line in printed, printed
        return self._kept(printed)

    def published(self) -> Published:
        """All rows of the views of ClickHouse."""
        with connect(self.address) as client:
            return read_contract(client)

    def kept(self) -> dict[str, bytes]:
        """Everything that is kept for good, by where: all tables, outdated rows too, the latest values of topics, all logs."""
        found = {path.name: path.read_bytes() for path in self._home.glob("*.log")}
        with connect(self.address) as client:
            tables = client.query(
                "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
            )
            for (table,) in tables.result_rows:
                found[table] = client.raw_query(f"SELECT *, * APPLY toString FROM {table}", fmt="JSONCompactEachRow")
            assert client.raw_query("SELECT alias FROM event_rows", fmt="TSV"), "there are events"
        compacted = {self.settings.topic(topic.name) for topic in (*ROWS, *NOTIFICATIONS) if topic.cleanup == "compact"}
        with topics.administration(self.settings) as client:
            names = [name for name in client.list_topics() if name.startswith(self.settings.topic_prefix + "erasures")]
            names += [name for name in client.list_topics() if name in compacted]
            names += [
                name for name in client.list_topics() if name.startswith(self.settings.app_id) and "changelog" in name
            ]
        assert len(names) >= 1 + len(compacted) + 4, names
        for name in names:
            latest: dict[tuple[int, bytes], bytes | None] = {}
            for message in records(self.settings.brokers, name):
                key, value, partition = message.key(), message.value(), message.partition()
                assert isinstance(key, bytes) and not isinstance(value, str) and partition is not None
                latest[partition, key] = value
            found[name] = b"\n".join(key + b"=" + value for (_, key), value in latest.items() if value is not None)
        return found

    def _kept(self, printed: str) -> str:
        with (self._home / "erase.log").open("a") as log:
            log.write(printed)
        return printed

    def _command(self, *arguments: Any) -> list[str]:
        return [sys.executable, *self.program, *arguments]


@contextmanager
def deployed(broker: str, name: str, directory: Path, meaning: Definitions, database: str) -> Iterator[Deployment]:
    """A deployment with one worker and a sink, killed at the end."""
    deployment = Deployment(broker, name, directory, meaning, database)
    try:
        deployment.start("worker-1")
        deployment.start_sink()
        yield deployment
    finally:
        deployment.stop()

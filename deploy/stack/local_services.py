"""Starts the broker and ClickHouse of a deployment on this machine, or reaches those that the settings name."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.kafka.broker import LocalBroker
from deploy.local.kafka.runtime import jars_directory
from deploy.local.process.child_process import ChildProcess
from deploy.services import topics
from deploy.services.required import broker_runs, require_clickhouse, running_clickhouse, shown_path
from deploy.stack.terminal import Terminal
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from sinks.clickhouse import Address, connect


def ended(name: str, process: ChildProcess) -> str:
    log = shown_path(process.log)
    return f"{name} has ended with code {process.exit_code}. The end of {log}:\n{process.last_log_lines()}"


class LocalServices:
    """The services that are started here. `jars_dir` is the data directory with the broker's jars, if it is another one."""

    def __init__(self, settings: Settings, console: Terminal, jars_dir: Path | None = None) -> None:
        self._settings = settings
        self._console = console
        self._jars_dir = jars_dir or settings.data_dir
        self._started: dict[str, LocalBroker | LocalClickHouse] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_kafka(self) -> None:
        """Start the local broker, unless it runs already or brokers are given. Raises DeploymentError or KafkaError."""
        settings = self._settings
        if settings.kafka is not None:
            with topics.administration(settings):
                self._console.done(f"Kafka at {settings.brokers}")
        elif broker_runs(settings):
            self._console.done(f"Kafka, already run at {settings.brokers}")
        else:
            broker = LocalBroker(settings.data_dir, settings.broker_port, jars=jars_directory(self._jars_dir))
            with self._console.status("Starting Kafka; the first time, Maven fetches its jars …"):
                self._started["Kafka"] = self._open.enter_context(broker)
            self._console.done(f"Kafka, run here at {broker.bootstrap}")

    def start_clickhouse(self) -> None:
        """Start the embedded ClickHouse, unless it runs already or one is given. Raises DeploymentError."""
        settings = self._settings
        if settings.clickhouse is not None:
            connect(Address.parse(settings.clickhouse_address), database="default").close()
            self._console.done(f"ClickHouse at {settings.clickhouse_shown}")
        elif running_clickhouse(settings) is not None:
            require_clickhouse(settings)
            self._console.done(f"ClickHouse, already run at {settings.clickhouse_shown}")
        else:
            with self._console.status("Starting the embedded ClickHouse …"):
                clickhouse = LocalClickHouse(settings.data_dir, settings.clickhouse_port)
                self._started["ClickHouse"] = self._open.enter_context(clickhouse)
            self._console.done(f"ClickHouse, embedded, at {settings.clickhouse_shown}")

    def check(self) -> None:
        """Raise DeploymentError when a service has ended."""
        for name, service in self._started.items():
            if service.process.exit_code is not None:
                raise DeploymentError(ended(name, service.process))

    def stop(self) -> None:
        """End what was started, in reverse. Repeating it changes nothing."""
        self._open.close()

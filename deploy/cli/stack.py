"""Starts what a deployment on this machine is made of, in order, each when what it needs is there, and ends it in reverse."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final, Self

from rich.console import Console

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.kafka.broker import LocalBroker, jars_directory
from deploy.local.process.children import Children
from deploy.local.process.status_server import reached_at, url_of
from deploy.local.process.supervision import Supervision
from deploy.rebuild import generations
from deploy.services import topics
from deploy.services.required import broker_runs, require_clickhouse, running_clickhouse, shown_path
from schemas.config.definitions import load as load_definitions
from schemas.config.loading import hmac_secrets, load_settings, remembered_generation
from schemas.config.settings import Settings
from schemas.config.sources import is_given, variable
from schemas.errors import DeploymentError
from sinks.clickhouse import Address, connect
from sinks.migrations import migrate

STREAMS_WITHIN_SECONDS: Final = 180.0
#: The first port of what the processes show of themselves, if none is set.
FIRST_METRICS_PORT: Final = 19464
_POLL_SECONDS: Final = 0.25


class Stack:
    """The parts that run for one deployment: those named in the settings are used, the others started here.

    `overrides` are settings that win over the environment's, here and in all children. `jars_dir` is the data directory
    that keeps the broker's jars, if it is another one.
    """

    def __init__(
        self, console: Console, overrides: Mapping[str, Any] | None = None, *, jars_dir: Path | None = None
    ) -> None:
        self.settings = load_settings(**(overrides or {}))
        self.console = console
        self.log_dir = _log_dir(self.settings)
        self._overrides = dict(overrides or {})
        #: What is started anew when the generation changes.
        self._workers = 0
        self._alerts = False
        self.children = Children(self.log_dir, _variables(overrides or {}))
        self._supervision = Supervision(self.children, self._warn)
        self._services = ExitStack()
        self._local: dict[str, LocalBroker | LocalClickHouse] = {}
        self._jars_dir = jars_dir or self.settings.data_dir
        #: Ports for what the processes show of themselves; None while they are to show nothing.
        self._ports: Iterator[int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all that was started, in reverse. Repeating it changes nothing."""
        self.children.stop()
        self._services.close()

    def start_kafka(self) -> None:
        """Start the local broker, unless it runs already or brokers are given. Raises DeploymentError or DeploymentError."""
        settings = self.settings
        if settings.kafka is not None:
            with topics.administration(settings):
                self._done(f"Kafka at {settings.brokers}")
        elif broker_runs(settings):
            self._done(f"Kafka, already run at {settings.brokers}")
        else:
            broker = LocalBroker(settings.data_dir, settings.broker_port, jars=jars_directory(self._jars_dir))
            with self.console.status("Starting Kafka; the first time, Maven fetches its jars …"):
                self._local["Kafka"] = self._services.enter_context(broker)
            self._done(f"Kafka, run here at {broker.bootstrap}")

    def start_clickhouse(self) -> None:
        """Start the embedded ClickHouse, unless it runs already or one is given. Raises DeploymentError or ClickHouseError."""
        settings = self.settings
        if settings.clickhouse is not None:
            connect(Address.parse(settings.clickhouse_address), database="default").close()
            self._done(f"ClickHouse at {settings.clickhouse_shown}")
        elif running_clickhouse(settings) is not None:
            require_clickhouse(settings)
            self._done(f"ClickHouse, already run at {settings.clickhouse_shown}")
        else:
            with self.console.status("Starting the embedded ClickHouse …"):
                clickhouse = LocalClickHouse(settings.data_dir, settings.clickhouse_port)
                self._local["ClickHouse"] = self._services.enter_context(clickhouse)
            self._done(f"ClickHouse, embedded, at {settings.clickhouse_shown}")

    def create_tables(self) -> None:
        """Bring ClickHouse's tables and views up to date. Raises ClickHouseError or DeploymentError."""
        require_clickhouse(self.settings)
        self._join_live_generation()
        ran = migrate(Address.parse(self.settings.clickhouse_address), cluster=self.settings.clickhouse_cluster)
        if self.settings.generation == generations.live(self.settings):
            # A new version may have other views.
            generations.show(self.settings, self.settings.generation)
        self._done(f"Tables and views{f', {len(ran)} migrations run' if ran else ', up to date'}")

    def create_topics(self) -> None:
        """Create missing topics. Raises DeploymentError when one has a wrong number of partitions."""
        with topics.administration(self.settings) as client:
            states = topics.ensure_topics(client, self.settings)
        wrong = [f"topic {state.name} {state.problem}" for state in states if state.problem]
        if wrong:
            raise DeploymentError("\n".join(wrong))
        created = sum(state.created for state in states)
        self._done(f"{len(states)} topics{f', {created} created' if created else ''}")

    def show_metrics(self) -> None:
        """Let what is started from now on show metrics and health, each on a port of its own."""
        self._ports = _free_ports(self.settings.metrics_host, self.settings.metrics_port or FIRST_METRICS_PORT)

    def start_streams(self, workers: int = 1) -> None:
        """Start workers and the sink, and wait until they are members of their groups."""
        settings, self._workers = self.settings, workers
        generations.refuse_others(settings, load_definitions(settings.config))
        for number in range(1, workers + 1):
            # Tables on disk have one owner: every worker but the first has a folder of its own.
            apart = (
                {}
                if number == 1
                else _variables({"data_dir": settings.data_dir / f"worker-{number}", **_shared(settings)})
            )
            self._start(f"worker-{number}", "worker", apart)
        self._start("sink", "sink")
        with topics.administration(settings) as client:
            self._await(
                "Starting worker and sink",
                lambda: (
                    topics.members_of(client, settings.streams_id) >= workers
                    and topics.members_of(client, f"{settings.streams_id}-sink") >= 1
                ),
                STREAMS_WITHIN_SECONDS,
            )
        self._done(f"{workers} worker{'s' if workers > 1 else ''} and a sink; logs in {shown_path(self.log_dir)}")

    def start_alerts(self) -> None:
        """Start what watches the numbers. It waits by itself for what it needs."""
        self._alerts = True
        self._start("alerts", "alerts")
        self._done("alerts on drops: `firstcall query alerts` shows them")

    def _start(self, name: str, role: str, variables: Mapping[str, str] | None = None) -> None:
        """Start a process. One that all inherit would be listened on twice, so each is told its port."""
        port = next(self._ports) if self._ports is not None else 0
        url = url_of(reached_at(self.settings.metrics_host), port) if port else None
        self.children.start(
            name, role, environment={**(variables or {}), **_variables({"metrics_port": port})}, url=url
        )

    def check(self) -> None:
        """Raise DeploymentError when a part has ended."""
        self._check_services()
        ended = self.children.ended()
        if ended is not None:
            raise DeploymentError(_ended(ended.name, ended.code, ended.log, ended.last_lines))

    def _check_services(self) -> None:
        for name, service in self._local.items():
            code = service.wait(0)
            if code is not None:
                raise DeploymentError(_ended(name, code, service.log, service.last_log_lines()))

    def serve(self) -> None:
        """Keep all running until interrupted. Raises DeploymentError when Kafka or ClickHouse ends, or a part again and again."""
        shown = [f"{child.name} {child.url}" for child in self.children.running if child.url]
        if shown:
            self._done(f"/metrics, /healthz, /readyz: {', '.join(shown)}")
        while True:
            self._check_services()
            given_up = self._supervision.look()
            if given_up is not None:
                raise DeploymentError(_ended(given_up.name, given_up.code, given_up.log, given_up.last_lines))
            self._follow_generation()
            time.sleep(1)

    def _warn(self, what: str) -> None:
        self.console.print(f"[yellow]![/] {what}", highlight=False, soft_wrap=True)

    def _join_live_generation(self) -> None:
        """Go on with the generation that dashboards read, if a replay ended before it could say so. Raises DeploymentError."""
        live = generations.live(self.settings)
        if live <= self.settings.generation:
            return
        if self._is_generation_given():
            raise DeploymentError(generations.over(self.settings.generation, live))
        generations.remember(self.settings.data_dir, live)
        self.settings = generations.of_generation(self.settings, live)

    def _follow_generation(self) -> None:
        """When a replay from the start has brought another generation, run that one's processes instead."""
        if self._is_generation_given():
            return
        before, now = self.settings.generation, remembered_generation(self.settings.data_dir)
        if now == before:
            return
        self.children.stop()
        # What the alerts have written until now.
        generations.carry_history(self.settings, before, now)
        self.settings = generations.of_generation(self.settings, now)
        self.log_dir = _log_dir(self.settings)
        self.children = Children(self.log_dir, _variables(self._overrides))
        self._supervision = Supervision(self.children, self._warn)
        self._done(f"Generation {now} takes over")
        self.start_streams(self._workers)
        if self._alerts:
            self.start_alerts()

    def _is_generation_given(self) -> bool:
        return "generation" in self._overrides or is_given("generation")

    def _done(self, what: str) -> None:
        self.console.print(f"[green]✓[/] {what}", highlight=False, soft_wrap=True)

    def _await(self, what: str, ready: Callable[[], bool], seconds: float) -> None:
        with self.console.status(f"{what} …"):
            end = time.monotonic() + seconds
            while not ready():
                self.check()
                if time.monotonic() > end:
                    raise DeploymentError(f"{what}: not done within {seconds:.0f} s; see the logs in {self.log_dir}")
                time.sleep(_POLL_SECONDS)


def _free_ports(host: str, first: int) -> Iterator[int]:
    """Ports from `first` on that nothing listens on."""
    for port in range(first, 65536):
        with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        yield port


def _ended(name: str, code: int, log: Path, last_lines: str) -> str:
    return f"{name} has ended with code {code}. The end of {shown_path(log)}:\n{last_lines}"


def _log_dir(settings: Settings) -> Path:
    """Where the children's logs go: the processes of two generations may run at the same time."""
    logs = settings.data_dir / "logs"
    return logs if settings.generation == 1 else logs / f"generation-{settings.generation}"


def _shared(settings: Settings) -> dict[str, Any]:
    """What a worker with a data directory of its own would else look for there."""
    secrets = ",".join(secret.decode() for secret in hmac_secrets(settings))
    return {"kafka": settings.brokers, "generation": settings.generation, "secrets": secrets}


def _variables(given: Mapping[str, Any]) -> dict[str, str]:
    """Settings as variables for children; files that variables name for them are out of force."""
    named = {variable(name): str(value) for name, value in given.items()}
    return named | {f"{name}_FILE": "" for name in named}

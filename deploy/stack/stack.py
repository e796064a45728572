"""Runs a deployment on this machine: starts its parts in order, each when what it needs is there, and ends them in reverse."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from kafka.admin import KafkaAdminClient

from deploy.local.process.children import Children
from deploy.local.process.status_server import reached_at, url_of
from deploy.local.process.supervision import Supervision
from deploy.rebuild import generations, history, view_switch
from deploy.services import groups, topics
from deploy.services.required import require_clickhouse, shown_path
from deploy.stack.environment import free_ports, log_dir, variables, worker_variables
from deploy.stack.local_services import LocalServices, ended
from deploy.stack.terminal import Terminal
from schemas.config.definitions import load as load_definitions
from schemas.config.loading import load_settings, remembered_generation
from schemas.config.sources import is_given
from schemas.errors import DeploymentError
from sinks.clickhouse import Address
from sinks.migrations import migrate

STREAMS_WITHIN_SECONDS: Final = 180.0
#: The first port for metrics and health, if none is set.
FIRST_METRICS_PORT: Final = 19464
_POLL_SECONDS: Final = 0.25


class Stack:
    """The parts of one deployment. `overrides` are settings that win over the environment's, here and in all children.

    `jars_dir` is the data directory with the broker's jars, if it is another one.
    """

    def __init__(
        self, console: Terminal, overrides: Mapping[str, Any] | None = None, *, jars_dir: Path | None = None
    ) -> None:
        self.settings = load_settings(**(overrides or {}))
        self.console = console
        self._overrides = dict(overrides or {})
        self.services = LocalServices(self.settings, console, jars_dir)
        #: Started again when the generation changes.
        self._workers = 0
        self._alerts = False
        #: Ports for metrics and health; None while they are not served.
        self._ports: Iterator[int] | None = None
        self._new_children()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.children.stop()
        self.services.stop()

    def create_tables(self) -> None:
        """Bring ClickHouse's tables and views up to date. Raises DeploymentError."""
        require_clickhouse(self.settings)
        self._join_live_generation()
        ran = migrate(Address.parse(self.settings.clickhouse_address), cluster=self.settings.clickhouse_cluster)
        if self.settings.generation == generations.live(self.settings):
            # A new version may have other views.
            view_switch.switch_views(self.settings, self.settings.generation)
        self.console.done(f"Tables and views{f', {len(ran)} migrations run' if ran else ', up to date'}")

    def create_topics(self) -> None:
        """Create missing topics. Raises DeploymentError when one has a wrong number of partitions."""
        with topics.administration(self.settings) as client:
            states = topics.ensure_topics(client, self.settings)
        wrong = [f"topic {state.name} {state.problem}" for state in states if state.problem]
        if wrong:
            raise DeploymentError("\n".join(wrong))
        created = sum(state.created for state in states)
        self.console.done(f"{len(states)} topics{f', {created} created' if created else ''}")

    def show_metrics(self) -> None:
        """Let each process that is started from now on serve metrics and health on a port of its own."""
        self._ports = free_ports(self.settings.metrics_host, self.settings.metrics_port or FIRST_METRICS_PORT)

    def start_streams(self, workers: int = 1) -> None:
        """Start workers and the sink, and wait until they are members of their groups."""
        settings, self._workers = self.settings, workers
        generations.refuse_others(settings, load_definitions(settings.config))
        for number in range(1, workers + 1):
            self._start(f"worker-{number}", "worker", worker_variables(settings, number))
        self._start("sink", "sink")
        with topics.administration(settings) as client:
            self._await_members(client, workers)
        self.console.done(
            f"{workers} worker{'s' if workers > 1 else ''} and a sink; logs in {shown_path(self._log_dir)}"
        )

    def start_alerts(self) -> None:
        """Start the alerts. They wait by themselves for what they need."""
        self._alerts = True
        self._start("alerts", "alerts")
        self.console.done("alerts on drops: `firstcall query alerts` shows them")

    def check(self) -> None:
        """Raise DeploymentError when a part has ended."""
        self.services.check()
        child = self.children.ended()
        if child is not None:
            raise DeploymentError(ended(child.name, child.process))

    def serve(self) -> None:
        """Keep all running until interrupted. Raises DeploymentError when a service ends, or a process again and again."""
        shown = [f"{child.name} {child.url}" for child in self.children.running if child.url]
        if shown:
            self.console.done(f"/metrics, /healthz, /readyz: {', '.join(shown)}")
        while True:
            self.services.check()
            child = self._supervision.check()
            if child is not None:
                raise DeploymentError(ended(child.name, child.process))
            self._follow_generation()
            time.sleep(1)

    def _new_children(self) -> None:
        self._log_dir = log_dir(self.settings)
        self.children = Children(self._log_dir, variables(self._overrides))
        self._supervision = Supervision(
            self.children, lambda line: self.console.print(f"[yellow]![/] {line}", highlight=False, soft_wrap=True)
        )

    def _start(self, name: str, role: str, given: Mapping[str, str] | None = None) -> None:
        """Start a process. Always with a port, or 0 for none: the environment's would be everyone's."""
        port = next(self._ports) if self._ports is not None else 0
        url = url_of(reached_at(self.settings.metrics_host), port) if port else None
        self.children.start(name, role, environment={**(given or {}), **variables({"metrics_port": port})}, url=url)

    def _join_live_generation(self) -> None:
        """Use the live generation, if a rebuild ended before it could store its number. Raises DeploymentError."""
        live = generations.live(self.settings)
        if self._is_generation_given():
            generations.refuse_superseded(self.settings.generation, live)
        elif live > self.settings.generation:
            generations.remember(self.settings.data_dir, live)
            self.settings = generations.of_generation(self.settings, live)

    def _follow_generation(self) -> None:
        """When a rebuild has switched to another generation, run that one's processes instead."""
        if self._is_generation_given():
            return
        before, now = self.settings.generation, remembered_generation(self.settings.data_dir)
        if now == before:
            return
        self.children.stop()
        # The alerts may have written since the switch.
        history.copy_tables(self.settings, before, now)
        self.settings = generations.of_generation(self.settings, now)
        self._new_children()
        if self._ports is not None:
            # The same ports again: they may be scraped.
            self.show_metrics()
        self.console.done(f"Generation {now} takes over")
        self.start_streams(self._workers)
        if self._alerts:
            self.start_alerts()

    def _is_generation_given(self) -> bool:
        return "generation" in self._overrides or is_given("generation")

    def _await_members(self, client: KafkaAdminClient, workers: int) -> None:
        group, end = self.settings.streams_id, time.monotonic() + STREAMS_WITHIN_SECONDS
        with self.console.status("Starting worker and sink …"):
            while groups.members_of(client, group) < workers or not groups.members_of(client, f"{group}-sink"):
                self.check()
                if time.monotonic() > end:
                    raise DeploymentError(
                        f"Starting worker and sink: not done within {STREAMS_WITHIN_SECONDS:.0f} s; see the logs in {self._log_dir}"
                    )
                time.sleep(_POLL_SECONDS)

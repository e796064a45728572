"""The demo: a simulated population through the whole pipeline, from nothing to the numbers."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Final
from uuid import uuid4

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from deploy.cli.stack import Stack
from deploy.importer.feed import Destination, Feeder, KafkaTopics, report
from deploy.importer.in_process import InProcess
from deploy.local.process.directory_lock import read_holder
from deploy.queries import answers, catalog
from deploy.services import topics
from deploy.services.required import shown_path
from deploy.services.topics import consumed_topics
from deploy.simulator import Population
from schemas.config.definitions import Definitions
from schemas.config.definitions import load as load_definitions
from schemas.config.loading import hmac_secrets, load_settings
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from sinks.clickhouse import Address, connected
from sinks.reconcile import settle
from streams.normalise.normaliser import Normaliser

#: The demo's own, so that the same seed gives the same names of API keys everywhere. Worth nothing elsewhere.
DEMO_SECRET: Final = "the demo needs no secret"  # noqa: S105 - on purpose
#: Inside the data directory, and made anew by every run.
DEMO_DIRECTORY: Final = "demo"
_POLL_SECONDS: Final = 0.5

#: (query, parameters, title) of the summary, in the order of a developer's way.
SUMMARY: Final[tuple[tuple[str, dict[str, str], str], ...]] = (
    ("funnel", {"level": "developer"}, "Funnel: developers"),
    ("funnel", {"level": "company"}, "Funnel: companies"),
    ("activation", {}, "Activation"),
    ("active", {}, "Weekly active (production use)"),
    ("ttfc", {}, "Time to first call"),
    ("concentration", {"window_hours": "672"}, "Concentration of production calls, last 28 days"),
    ("dead-letters", {}, "Refused messages"),
)


EXAMPLE_SQL: Final = (
    "SELECT name, uniq(developer_id) AS developers FROM events_resolved GROUP BY name ORDER BY developers DESC"
)


@dataclass(frozen=True)
class DemoOptions:
    """What to simulate, and with how many workers. `serve`: stay up at the end."""

    developers: int
    seed: int
    days: int
    bad: int
    workers: int
    serve: bool


def run_demo(options: DemoOptions, console: Console, no_kafka_because: str) -> None:
    """Run the demo. `no_kafka_because` says why Kafka cannot be had; empty if it can.

    Raises DeploymentError, and what the clients of Kafka and ClickHouse raise.
    """
    began = time.monotonic()
    usual = load_settings()
    population = Population(seed=options.seed, developers=options.developers, days=options.days, bad=options.bad)
    _forget_last_run(usual.data_dir / DEMO_DIRECTORY)
    with Stack(console, _apart(usual), jars_dir=usual.data_dir) as stack, _topics_removed(stack.settings):
        settings = stack.settings
        definitions = load_definitions(settings.config)
        no_kafka_because = no_kafka_because or _try_kafka(stack)
        if no_kafka_because:
            line = f"No Kafka: {no_kafka_because}. The same stages and sink run in this process."
            console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
        stack.start_clickhouse()
        stack.create_tables()
        if not no_kafka_because:
            stack.create_topics()
            stack.start_streams(options.workers)
        started = time.monotonic()
        if no_kafka_because:
            destination = InProcess(settings, definitions, hmac_secrets(settings))
            sent = _feed(stack, "Simulating and working", destination, definitions, population)
        else:
            sent = _feed(stack, "Simulating and sending", KafkaTopics(settings), definitions, population)
            _await_idle(stack)
        worked = time.monotonic() - started
        console.print(
            f"[green]✓[/] {sent:,} messages in {worked:,.1f} s, {sent / worked:,.0f} a second, simulating them included",
            highlight=False,
        )
        show_summary(settings, console)
        console.print(
            f"\n[bold]{options.developers:,} developers, seed {options.seed}, {options.days} days:"
            f" all done in {time.monotonic() - began:,.0f} s[/]",
            highlight=False,
        )
        for line in _next_steps(settings, options):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if options.serve:
            stack.serve()


def _try_kafka(stack: Stack) -> str:
    """Start Kafka, or say why the local broker cannot be started."""
    try:
        stack.start_kafka()
    except DeploymentError as error:
        return str(error)
    return ""


def show_summary(settings: Settings, console: Console) -> None:
    """Ask the queries of the summary and print the answers."""
    with connected(Address.parse(settings.clickhouse_address)) as client:
        # The sink does so every few seconds; the summary is of everything.
        settle(client)
        for name, given, title in SUMMARY:
            query = catalog.find_query(name)
            assert isinstance(query, catalog.Query), f"the summary names {name}"
            values = catalog.bind(query, given)
            assert not isinstance(values, catalog.Unknown), f"the summary's parameters of {name}"
            console.print()
            answers.show(console, catalog.ask(client, query.sql, values), title)


def _apart(settings: Settings) -> dict[str, Any]:
    """Settings that keep the demo away from everything else there is."""
    apart: dict[str, Any] = {
        "data_dir": settings.data_dir / DEMO_DIRECTORY,
        "secrets": DEMO_SECRET,
        "broker_port": _free_port(settings.broker_port),
        "clickhouse_port": _free_port(settings.clickhouse_port),
    }
    if settings.kafka is not None:
        run = uuid4().hex[:8]
        apart |= {"topic_prefix": f"{settings.topic_prefix}demo-{run}.", "app_id": f"{settings.app_id}-demo-{run}"}
    return apart


def _free_port(wanted: int) -> int:
    """The wanted port on loopback, or another one if something listens there."""
    for port in (wanted, 0):
        with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise DeploymentError("no port on loopback is free")


def _forget_last_run(directory: Path) -> None:
    """Raises DeploymentError when the last run is still up."""
    for service in directory.glob("*/"):
        holder = read_holder(service)
        if holder is not None and holder.is_alive:
            raise DeploymentError(
                f"a demo is up already: process {holder.pid} serves {service.name} at {holder.address}; end it first"
            )
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _topics_removed(settings: Settings) -> Iterator[None]:
    """Leave no topic behind on brokers that are not the demo's own."""
    try:
        yield
    finally:
        if settings.kafka is not None:
            with topics.administration(settings) as client:
                topics.delete_topics(client, (settings.topic_prefix, settings.app_id))


def _feed(stack: Stack, what: str, destination: Destination, definitions: Definitions, population: Population) -> int:
    """Simulate and send. Gives the number of messages."""
    feeder = Feeder(destination, Normaliser(definitions, hmac_secrets(stack.settings)))
    with _progress(stack.console, what, population.expected_events + population.bad) as advance:
        for number, (topic, message) in enumerate(population.messages(), 1):
            feeder.send(topic, message, number)
            if number % 1000 == 0:
                advance(1000)
                stack.check()
        summary = feeder.finish()
    if summary.lost.messages:
        raise DeploymentError("\n".join(report(summary)))
    return summary.sent.total()


def _await_idle(stack: Stack) -> None:
    """Wait until worker and sink have acknowledged every record there is.

    Two looks in a row must find nothing new: between an acknowledgement and the end that it leads to lies one look.
    """
    consumed = consumed_topics(stack.settings)
    with topics.administration(stack.settings) as client:
        left, _ = _behind(client, consumed)
        quiet_at: int | None = None
        with _progress(stack.console, "Waiting for worker and sink", left) as advance:
            while True:
                behind, acknowledged = _behind(client, consumed)
                if behind == 0 and quiet_at == acknowledged:
                    advance(left)
                    return
                quiet_at = acknowledged if behind == 0 else None
                advance(max(left - behind, 0))
                left = min(left, behind)
                stack.check()
                time.sleep(_POLL_SECONDS)


def _behind(client: Any, consumed: dict[str, list[str]]) -> tuple[int, int]:
    """Records not acknowledged, and the sum of all acknowledged offsets, over all groups and topics."""
    found = topics.lags(client, consumed)
    return sum(lag.records for lag in found), sum(lag.committed for lag in found)


@contextmanager
def _progress(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.advance(task, done)


def _next_steps(settings: Settings, options: DemoOptions) -> Iterable[str]:
    command = _command()
    place = "" if settings.clickhouse else f"FIRSTCALL_DATA_DIR={quote(str(shown_path(settings.data_dir)))} "
    yield "\nGo on with:"
    yield f"  {place}{command} query                  the named queries"
    yield f"  {place}{command} query campaigns        what first touches lead to"
    yield f'  {place}{command} query --sql "{EXAMPLE_SQL}"'
    if options.serve:
        yield f"\nClickHouse is at {settings.clickhouse_shown}, Kafka at {settings.brokers}. Ctrl-C ends all."


def _command() -> str:
    """How this installation's command is called from this directory."""
    script = Path(sys.executable).parent / "firstcall"
    found = shutil.which("firstcall")
    if found is not None and (not script.exists() or Path(found).samefile(script)):
        return "firstcall"
    return quote(str(shown_path(script)))

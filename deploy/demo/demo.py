"""The demo: a simulated population through the whole pipeline, from nothing to the numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from kafka.admin import KafkaAdminClient
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

from deploy.demo.isolation import DEMO_DIRECTORY, isolated, remove_last_run, topics_removed
from deploy.demo.summary import next_steps, show_summary
from deploy.importer.feed import Destination, Feeder, report
from deploy.importer.in_process import InProcess
from deploy.importer.kafka_topics import KafkaTopics
from deploy.services import groups, topics
from deploy.simulator import Population
from deploy.stack.stack import Stack
from deploy.stack.terminal import Terminal
from schemas.config.definitions import load as load_definitions
from schemas.config.loading import hmac_secrets, load_settings
from schemas.errors import DeploymentError
from streams.normalise.normaliser import Normaliser

_POLL_SECONDS: Final = 0.5


def run_demo(population: Population, console: Terminal, workers: int, *, serve: bool, no_kafka_because: str) -> None:
    """Run the demo with a population, and with `serve` stay up. Without Kafka, for the given reason, everything runs in this process.

    Raises DeploymentError, and what the clients of Kafka and ClickHouse raise.
    """
    began = time.monotonic()
    usual = load_settings()
    remove_last_run(usual.data_dir / DEMO_DIRECTORY)
    with Stack(console, isolated(usual), jars_dir=usual.data_dir) as stack, topics_removed(stack.settings):
        no_kafka_because = no_kafka_because or _try_kafka(stack)
        if no_kafka_because:
            console.plain(f"No Kafka: {no_kafka_because}. The same processors and sink run in this process.", "yellow")
        stack.services.start_clickhouse()
        stack.create_tables()
        if not no_kafka_because:
            stack.create_topics()
            stack.start_streams(workers)
        started = time.monotonic()
        sent = _feed(stack, population, in_process=bool(no_kafka_because))
        if not no_kafka_because:
            _await_idle(stack)
        seconds = time.monotonic() - started
        console.done(f"{sent:,} messages in {seconds:,.1f} s, {sent / seconds:,.0f} a second, simulating them included")
        show_summary(stack.settings, console)
        console.print(
            f"\n[bold]{population.people:,} developers, seed {population.seed}, {population.days} days:"
            f" all done in {time.monotonic() - began:,.0f} s[/]",
            highlight=False,
        )
        for line in next_steps(stack.settings, serve=serve):
            console.plain(line)
        if serve:
            stack.serve()


def _feed(stack: Stack, population: Population, *, in_process: bool) -> int:
    """Simulate and send, or work on the messages here. Returns their number."""
    settings = stack.settings
    definitions, secrets = load_definitions(settings.config), hmac_secrets(settings)
    destination: Destination = InProcess(settings, definitions, secrets) if in_process else KafkaTopics(settings)
    feeder = Feeder(destination, Normaliser(definitions, secrets))
    what = "Simulating and processing" if in_process else "Simulating and sending"
    with _progress(stack.console, what, population.expected_events + population.bad) as advance:
        for number, (topic, message) in enumerate(population.messages(), 1):
            feeder.send(topic, message)
            if number % 1000 == 0:
                advance(1000)
                stack.check()
        summary = feeder.finish()
    if summary.lost.messages:
        raise DeploymentError("\n".join(report(summary)))
    return summary.sent.total()


def _await_idle(stack: Stack) -> None:
    """Wait until worker and sink have committed every record.

    Two polls in a row must find no lag and no new commit: a commit precedes the end offsets that it leads to.
    """
    consumed = groups.consumed_topics(stack.settings)
    with topics.administration(stack.settings) as client:
        left, _ = _behind(client, consumed)
        idle_at: int | None = None
        with _progress(stack.console, "Waiting for worker and sink", left) as advance:
            while True:
                behind, committed = _behind(client, consumed)
                if behind == 0 and idle_at == committed:
                    advance(left)
                    return
                idle_at = committed if behind == 0 else None
                advance(max(left - behind, 0))
                left = min(left, behind)
                stack.check()
                time.sleep(_POLL_SECONDS)


@contextmanager
def _progress(console: Terminal, what: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = (SpinnerColumn(), what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


def _try_kafka(stack: Stack) -> str:
    """Start Kafka; '' or why it cannot be started."""
    try:
        stack.services.start_kafka()
    except DeploymentError as error:
        return str(error)
    return ""


def _behind(client: KafkaAdminClient, consumed: dict[str, list[str]]) -> tuple[int, int]:
    """Records not committed, and the sum of all committed offsets, over all groups and topics."""
    found = groups.lags(client, consumed)
    return sum(lag.records for lag in found), sum(lag.committed for lag in found)

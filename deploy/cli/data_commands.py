"""The commands about data: make some, prove it, and the demo that does most of it."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.cli.terminal import definitions_or_exit, err, fail, out, reported_failures, settings_or_exit
from schemas.config.loading import hmac_secrets
from schemas.errors import ClickHouseError, DeploymentError

if TYPE_CHECKING:
    from deploy.importer.feed import Feeder, Summary
    from schemas.config.settings import Settings

Developers = Annotated[int, typer.Option(min=1, max=5_000_000, help="How many developers sign up.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same events.")]
Days = Annotated[int, typer.Option(min=1, max=730, help="Over how many days.")]
Bad = Annotated[int, typer.Option(min=0, help="How many messages that are no events to mix in.")]


def generate(
    developers: Developers = 1000,
    seed: Seed = 1,
    days: Days = 60,
    bad: Bad = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file for NDJSON, `-` for standard output, instead of Kafka."),
    ] = None,
) -> None:
    """Simulate developers: docs visits, ads, sign-ups, keys, calls, companies, late links, shared devices, bots, employees.

    Example: `firstcall generate --developers 5000 --seed 7 --output events.ndjson`
    """
    from deploy.simulator import Population

    population = Population(seed=seed, developers=developers, days=days, bad=bad)
    columns = (
        SpinnerColumn(),
        TextColumn("Simulating"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} messages"),
        TimeElapsedColumn(),
    )
    with reported_failures(), Progress(*columns, console=err) as progress:
        task = progress.add_task("", total=population.expected_events + bad)
        if output is not None:
            with nullcontext(sys.stdout.buffer) if str(output) == "-" else output.open("wb") as file:
                population.write_ndjson(file, lambda lines: progress.advance(task, lines))
            return
        feeder = feeder_or_exit(settings_or_exit(), "web")
        for number, (topic, message) in enumerate(population.messages(), 1):
            feeder.send(topic, message, number)
            progress.advance(task)
        summary = feeder.finish()
    # Among them are the ones that were asked for: no reason to fail.
    summary.refused.clear()
    report_or_exit(summary)


def audit(
    form: Annotated[Literal["table", "json"], typer.Option("--format", "-f", help="json is one object.")] = "table",
    copies_within: Annotated[
        int,
        typer.Option(
            min=0,
            max=3600,
            help="Seconds by which copies of an event may lie apart. What only a later copy explains is called unproven and"
            " is no difference; with 0 it is one.",
        ),
    ] = 60,
) -> None:
    """Compute every number anew from the events in ClickHouse, and compare it with what the streams published.

    Exits with 1 if anything differs, with 2 if it could not be done. While events come in, the streams or the sink may be
    behind: differences that are gone in the next audit were that.

    Example: `firstcall audit`, or `firstcall audit --format json > audit.json`
    """
    from deploy.audit import report
    from deploy.audit.run import audit as run_audit
    from deploy.services.required import reachable_clickhouse
    from sinks.clickhouse import Address

    settings = settings_or_exit()
    definitions = definitions_or_exit(settings)
    columns = (
        SpinnerColumn(),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with reported_failures():
        try:
            with (
                reachable_clickhouse(settings, err) as reached,
                Progress(*columns, console=err, transient=True) as progress,
            ):
                task = progress.add_task("Starting")
                found = run_audit(
                    Address.parse(reached.clickhouse_address),
                    definitions,
                    copies_seconds=copies_within,
                    progress=lambda number, total, title: progress.update(
                        task, completed=number, total=total, description=title
                    ),
                )
        except (ClickHouseError, DeploymentError) as error:
            fail(str(error), 2)
    if form == "json":
        sys.stdout.buffer.write(report.as_json(found))
    else:
        report.show(out, found)
    if found.wrong:
        raise typer.Exit(1)


def demo(
    developers: Developers = 2000,
    seed: Seed = 1,
    days: Days = 60,
    bad: Bad = 25,
    workers: Annotated[int, typer.Option(min=1, max=16, help="How many workers to run.")] = 1,
    serve: Annotated[bool, typer.Option("--serve", help="Stay up at the end, until Ctrl-C.")] = False,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without Kafka, even where it could be run.")
    ] = False,
) -> None:
    """Run everything here with a simulated population, and end with the numbers. Keeps away from any other data.

    Example: `firstcall demo --developers 500 --serve`
    """
    from deploy.cli.demo import DemoOptions, run_demo
    from deploy.local.kafka.broker import Missing, availability

    settings = settings_or_exit()
    definitions_or_exit(settings)
    because = "" if not in_process else "--in-process was given"
    if settings.kafka is None and not because:
        found = availability(settings.data_dir)
        if isinstance(found, Missing):
            because = f"{found.reason}; {found.what_to_do}"
    options = DemoOptions(developers, seed, days, bad, workers, serve)
    with reported_failures():
        run_demo(options, out, no_kafka_because=because)


def feeder_or_exit(settings: Settings, source: Literal["web", "api"], *, in_process: bool = False) -> Feeder:
    """Events into the deployment's topics, which must be there, or without Kafka into its tables, which are created."""
    from deploy.importer.feed import Feeder, KafkaTopics
    from deploy.importer.in_process import InProcess
    from deploy.services import topics
    from sinks.clickhouse import Address
    from sinks.migrations import migrate
    from streams.normalise.normaliser import Normaliser
    from streams.topology import INPUTS

    definitions, secrets = definitions_or_exit(settings), hmac_secrets(settings)
    normaliser = Normaliser(definitions, secrets)
    if in_process:
        # Nobody else could: `firstcall migrate` creates topics too, and there are no brokers.
        migrate(Address.parse(settings.clickhouse_address), cluster=settings.clickhouse_cluster)
        return Feeder(InProcess(settings, definitions, secrets), normaliser, source)
    wrong = topics.wrong_topics(settings, INPUTS)
    if wrong:
        fail("\n".join(wrong))
    return Feeder(KafkaTopics(settings), normaliser, source)


def report_or_exit(summary: Summary) -> None:
    """Say what became of the lines; code 1 if some were left out or lost."""
    from deploy.importer.feed import report

    for line in report(summary):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if summary.undecodable or summary.lost.messages:
        raise typer.Exit(1)

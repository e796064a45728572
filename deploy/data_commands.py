"""The commands about data: make some, feed some, ask about it, prove it, and the demo that does most of it."""

from __future__ import annotations

import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.terminal import definitions_or_exit, err, fail, failures_told, out, settings_or_exit
from schemas.configuration import hmac_secrets

if TYPE_CHECKING:
    from deploy.replay import Feeder, Summary
    from schemas.settings import Settings

#: Longer defaults of parameters are left out of the list of queries.
SHOWN_DEFAULT = 20

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
    from deploy.population import Population

    population = Population(seed=seed, developers=developers, days=days, bad=bad)
    columns = (
        SpinnerColumn(),
        TextColumn("Simulating"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} messages"),
        TimeElapsedColumn(),
    )
    with failures_told(), Progress(*columns, console=err) as progress:
        task = progress.add_task("", total=population.expected_events + bad)
        if output is not None:
            with nullcontext(sys.stdout.buffer) if str(output) == "-" else output.open("wb") as file:
                population.write_ndjson(file, lambda lines: progress.advance(task, lines))
            return
        feeder = _feeder(settings_or_exit(), "web")
        for number, (topic, message) in enumerate(population.messages(), 1):
            feeder.send(topic, message, number)
            progress.advance(task)
        summary = feeder.finish()
    # Among them are the ones that were asked for: no reason to fail.
    summary.refused.clear()
    _report(summary)


def replay(
    file: Annotated[str, typer.Argument(help="NDJSON, also gzipped (.gz), or `-` for standard input.")],
    source: Annotated[
        Literal["web", "api"], typer.Option(help="What events are that do not say it themselves.")
    ] = "web",
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without Kafka, straight into an empty ClickHouse database.")
    ] = False,
) -> None:
    """Feed events of any accepted format, one JSON object a line, as from an export. Sending some again does no harm.

    Example: `firstcall replay segment-export.ndjson.gz`, or `zcat logs/*.gz | firstcall replay - --source api`
    """
    from deploy.replay import open_lines
    from deploy.up import reachable_clickhouse

    columns = (
        SpinnerColumn(),
        TextColumn("Replaying"),
        BarColumn(),
        TextColumn("{task.fields[lines]:,} lines"),
        TimeElapsedColumn(),
    )
    with failures_told(), ExitStack() as opened:
        try:
            lines = opened.enter_context(open_lines(None if file == "-" else Path(file)))
        except OSError as error:
            fail(f"{file}: {error.strerror}", 2)
        settings = settings_or_exit()
        if in_process:
            settings = opened.enter_context(reachable_clickhouse(settings, err))
        feeder = _feeder(settings, source, in_process=in_process)
        progress = opened.enter_context(Progress(*columns, console=err))
        task = progress.add_task("", total=lines.size, lines=0)
        number = 0
        for number, line in enumerate(lines.stream, 1):
            feeder.feed(number, line)
            if number % 1000 == 0:
                progress.update(task, completed=lines.position(), lines=number)
        progress.update(task, completed=lines.position(), lines=number)
        summary = feeder.finish()
    _report(summary)


def query(
    name: Annotated[str | None, typer.Argument(help="Which named query; without it, they are listed.")] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="A parameter, as `level=company`.")] = None,
    sql: Annotated[str | None, typer.Option(help="SQL of your own instead; `-` reads it from standard input.")] = None,
    form: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", "-f", help="json is an object a line.")
    ] = "table",
    show_sql: Annotated[bool, typer.Option("--show", help="Print the SQL instead of running it.")] = False,
) -> None:
    """Ask ClickHouse: funnel, activation, active, ttfc, concentration, campaigns, journey, dead-letters, or SQL of your own.

    Example: `firstcall query funnel -p level=company`, or `firstcall query --sql "SELECT count() FROM events" -f csv`
    """
    from deploy import queries
    from deploy.up import reachable_clickhouse
    from sinks.connection import Address, connect, named_errors

    settings = settings_or_exit()
    given = dict(_parameter(each) for each in param or ())
    if (name is None) == (sql is None):
        if sql is not None:
            fail("give a named query or --sql, not both", 2)
        _list_queries()
        return
    text, values = sys.stdin.read() if sql == "-" else sql or "", given
    if name is not None:
        found = queries.find_query(name)
        if isinstance(found, queries.Unknown):
            fail(found.message, 2)
        bound = queries.bind(found, given, definitions_or_exit(settings))
        if isinstance(bound, queries.Unknown):
            fail(bound.message, 2)
        text, values = found.sql, bound
    if show_sql:
        sys.stdout.write(text)
        return
    with failures_told(), reachable_clickhouse(settings, err) as reached:
        address = Address.parse(reached.clickhouse_address)
        client = connect(address)
        try:
            with named_errors(address):
                if form == "table":
                    queries.show(out, queries.ask(client, text, values))
                else:
                    sys.stdout.buffer.write(queries.ask_text(client, text, values, form))
        finally:
            client.close()


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
    from deploy.processes import StartError
    from deploy.up import reachable_clickhouse
    from sinks.connection import Address, ClickHouseError

    settings = settings_or_exit()
    definitions = definitions_or_exit(settings)
    columns = (
        SpinnerColumn(),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with failures_told():
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
        except (ClickHouseError, StartError) as error:
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
    from deploy.broker import Missing, availability
    from deploy.demo import DemoOptions, run_demo

    settings = settings_or_exit()
    definitions_or_exit(settings)
    because = "" if not in_process else "--in-process was given"
    if settings.kafka is None and not because:
        found = availability(settings.data_dir)
        if isinstance(found, Missing):
            because = f"{found.reason}; {found.what_to_do}"
    options = DemoOptions(developers, seed, days, bad, workers, serve)
    with failures_told():
        run_demo(options, out, no_kafka_because=because)


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        fail(f"--param {text}: give it as name=value", 2)
    return name.strip(), value


def _list_queries() -> None:
    from deploy.queries import named_queries

    for each in named_queries().values():
        out.print(f"[bold]{each.name}[/]  {each.title}", highlight=False, soft_wrap=True)
        for parameter in each.parameters:
            default = parameter.default if len(parameter.default) <= SHOWN_DEFAULT else "…"
            line = f"    -p {parameter.name}={default}  {parameter.meaning}"
            out.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)
    out.print(
        "\nRun one: firstcall query funnel -p level=company. See its SQL: firstcall query funnel --show",
        highlight=False,
        soft_wrap=True,
    )


def _feeder(settings: Settings, source: Literal["web", "api"], *, in_process: bool = False) -> Feeder:
    """Events into the deployment's topics, which must be there, or without Kafka into its tables."""
    from deploy import topics
    from deploy.in_process import InProcess
    from deploy.replay import Feeder, KafkaTopics
    from streams.normalise import Normaliser
    from streams.topology import INPUTS

    definitions, secrets = definitions_or_exit(settings), hmac_secrets(settings)
    normaliser = Normaliser(definitions, secrets)
    if in_process:
        return Feeder(InProcess(settings, definitions, secrets), normaliser, source)
    wrong = topics.wrong_topics(settings, INPUTS)
    if wrong:
        fail("\n".join(wrong))
    return Feeder(KafkaTopics(settings), normaliser, source)


def _report(summary: Summary) -> None:
    """Say what became of the lines; code 1 if some were left out or lost."""
    from deploy.replay import report

    for line in report(summary):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if summary.undecodable or summary.lost.messages:
        raise typer.Exit(1)

"""The command `firstcall`: what runs and looks after a deployment. The commands about data are in `deploy.cli.data_commands`.

Each command imports what it needs when it runs, so that help is there at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from deploy.cli import data_commands
from deploy.cli.alerts import alerts
from deploy.cli.config import config
from deploy.cli.dead_letters import dead_letters
from deploy.cli.erase import erase
from deploy.cli.query import query
from deploy.cli.replay_command import replay
from deploy.cli.terminal import definitions_or_exit, fail, out, reported_failures, settings_or_exit

app = typer.Typer(
    name="firstcall",
    help="From the first docs visit to the first API call, activation and weekly use: from Kafka into ClickHouse, live.",
    epilog="Settings are variables FIRSTCALL_... and one YAML file. `firstcall doctor` says what is wrong and what to do.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def main() -> None:
    """Run the command. Exit codes: 1 something is wrong with what runs, 2 with what was given, 130 interrupted."""
    from deploy.local.process.children import Terminated, unwinding_signals

    try:
        with unwinding_signals():
            app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Terminated:
        sys.exit(143)


@app.command()
def up(workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers to run.")] = 1) -> None:
    """Run everything on this machine: broker and ClickHouse unless given, topics, tables, worker, sink, alerts.

    Example: `firstcall up --workers 2`
    """
    from deploy.cli.stack import Stack

    settings_or_exit()
    with reported_failures(), Stack(out) as stack:
        stack.start_kafka()
        stack.start_clickhouse()
        stack.create_tables()
        stack.create_topics()
        stack.show_metrics()
        stack.start_streams(workers)
        stack.start_alerts()
        out.print(
            f"\nProducers write to {stack.settings.brokers}. Try: `firstcall generate`, `firstcall query`. Ctrl-C ends all."
        )
        stack.serve()


@app.command()
def worker() -> None:
    """Run the streams: events in, profiles, activity and counts out. Start as many as there are partitions, at most.

    Example: `FIRSTCALL_KAFKA=kafka-1:9092 firstcall worker`
    """
    from deploy.cli import logs
    from deploy.local.process import status_server
    from deploy.services import topics
    from streams.app import run_worker

    settings = settings_or_exit()
    definitions_or_exit(settings)
    logs.configure(settings)
    with reported_failures():
        # Streams on topics of the wrong shape would make changelogs of the wrong shape. Faust ends where the brokers are away, and
        # one end after the other would be told as a worker that does not heal.
        wrong = topics.await_wrong_topics(settings)
        if wrong:
            fail("\n".join(wrong))
        run_worker(settings, lambda watchdog: status_server.show(settings, "worker", watchdog))


@app.command()
def sink() -> None:
    """Write events and the streams' rows to ClickHouse. Stateless: start as many as there are partitions, at most.

    Example: `FIRSTCALL_KAFKA=kafka-1:9092 FIRSTCALL_CLICKHOUSE=http://user:password@clickhouse:8123/firstcall firstcall sink`
    """
    from deploy.cli import logs
    from deploy.local.process import status_server
    from deploy.rebuild.generations import refuse_others
    from deploy.services.required import require_broker, require_clickhouse
    from schemas.config.loading import hmac_secrets
    from sinks.main import run_sink
    from streams.normalise.normaliser import Normaliser
    from streams.normalise.suppression_list import SuppressionList

    settings = settings_or_exit()
    definitions = definitions_or_exit(settings)
    logs.configure(settings)
    with reported_failures():
        require_broker(settings)
        require_clickhouse(settings)
        refuse_others(settings, definitions)
        secrets = hmac_secrets(settings)
        erasures = SuppressionList([*settings.retired, *secrets])
        run_sink(
            bootstrap_servers=settings.brokers,
            clickhouse_url=settings.clickhouse_address,
            normaliser=Normaliser(definitions, secrets, erasures),
            erasures=erasures,
            app_id=settings.streams_id,
            topic_name=settings.topic,
            kafka_options=settings.kafka_options.for_librdkafka(),
            batch_rows=settings.sink_batch_rows,
            batch_seconds=settings.sink_batch_seconds,
            session_seconds=settings.session_seconds,
            show=lambda watchdog: status_server.show(settings, "sink", watchdog),
        )


@app.command()
def broker() -> None:
    """Run Apache Kafka on this machine: one node, loopback only, its data in the data directory.

    Example: `FIRSTCALL_BROKER_PORT=9092 firstcall broker`
    """
    from deploy.local.kafka.broker import LocalBroker

    settings = settings_or_exit()
    with reported_failures(), LocalBroker(settings.data_dir, settings.broker_port) as running:
        out.print(f"Kafka serves at {running.bootstrap}. Ctrl-C ends it.", highlight=False)
        code = running.wait()
    fail(f"Kafka has ended with code {code}; see {running.log}")


@app.command()
def clickhouse() -> None:
    """Serve the embedded ClickHouse on loopback, from the data directory, for any ClickHouse client that speaks HTTP.

    Example: `FIRSTCALL_CLICKHOUSE_PORT=8123 firstcall clickhouse`
    """
    from deploy.local.clickhouse import serve

    settings = settings_or_exit()
    with reported_failures():
        serve(
            settings.data_dir,
            settings.clickhouse_port,
            on_ready=lambda url: out.print(f"ClickHouse serves at {url}. Ctrl-C ends it.", highlight=False),
        )


@app.command()
def migrate() -> None:
    """Create topics, tables and views, or bring them up to date. Running it again changes nothing.

    Example: `FIRSTCALL_CLICKHOUSE=http://user:password@clickhouse:8123/firstcall firstcall migrate`
    """
    from deploy.cli.stack import Stack

    settings_or_exit()
    with reported_failures(), Stack(out) as stack:
        stack.create_tables()
        stack.create_topics()


@app.command()
def doctor(
    checks: Annotated[
        list[str] | None, typer.Argument(help="Only these, as `kafka clickhouse`. All by default.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what is wrong.")] = False,
) -> None:
    """Look at Python, configuration, Kafka, topics, lag and ClickHouse, and say what to do. Exits with 1 if something is wrong.

    Example: `firstcall doctor`, or in a health check: `firstcall doctor --quiet kafka clickhouse`
    """
    from deploy.cli.doctor import CHECKS, examine

    unknown = sorted(set(checks or ()) - set(CHECKS))
    if unknown:
        fail(f"no check named {', '.join(unknown)}; there are {', '.join(CHECKS)}", 2)
    marks = {"ok": "[green]✓[/]", "note": "[yellow]![/]", "wrong": "[red]✗[/]"}
    wrong = 0
    with reported_failures():
        for finding in examine(settings_or_exit(), checks or ()):
            wrong += finding.verdict == "wrong"
            if quiet and finding.verdict != "wrong":
                continue
            out.print(f"{marks[finding.verdict]} [bold]{finding.check:<13}[/]", end=" ")
            out.print(finding.detail, markup=False, highlight=False, soft_wrap=True)
            if finding.advice:
                out.print(f"                → {finding.advice}", markup=False, highlight=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the versions of Firstcall and of what its numbers depend on.

    Example: `firstcall version`
    """
    from deploy.cli.doctor import installed_version

    out.print(f"firstcall {installed_version('firstcall')}", highlight=False)
    for name in ("faust-streaming", "confluent-kafka", "kafka-python", "clickhouse-connect", "chdb-core", "rocksdict"):
        out.print(f"  {name} {installed_version(name)}", highlight=False)


for command in (
    data_commands.generate,
    replay,
    query,
    data_commands.audit,
    data_commands.demo,
    alerts,
    erase,
):
    app.command()(command)
app.add_typer(config)
app.add_typer(dead_letters)

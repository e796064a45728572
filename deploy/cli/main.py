"""The command `firstcall`. Each command has a file of its name, and imports what it needs when it runs: help is instant."""

from __future__ import annotations

import sys

import typer

from deploy.cli.alerts import alerts
from deploy.cli.audit import audit
from deploy.cli.broker import broker
from deploy.cli.clickhouse import clickhouse
from deploy.cli.config import config
from deploy.cli.dead_letters import dead_letters
from deploy.cli.demo import demo
from deploy.cli.doctor import doctor
from deploy.cli.erase import erase
from deploy.cli.generate import generate
from deploy.cli.import_ import import_
from deploy.cli.migrate import migrate
from deploy.cli.query import query
from deploy.cli.rebuild import rebuild
from deploy.cli.sink import sink
from deploy.cli.terminal import reported_failures
from deploy.cli.up import up
from deploy.cli.version import version
from deploy.cli.worker import worker

app = typer.Typer(
    name="firstcall",
    help="From the first docs visit to the first API call, activation and weekly use: from Kafka into ClickHouse, live.",
    epilog="Settings are variables FIRSTCALL_... and one YAML file. `firstcall doctor` shows what is wrong and what to do.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (
    *(up, demo, worker, sink, alerts, broker, clickhouse, migrate, doctor),
    *(import_, generate, query, audit, rebuild, erase, version),
):
    app.command(command.__name__.rstrip("_"))(reported_failures()(command))
app.add_typer(config)
app.add_typer(dead_letters)


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

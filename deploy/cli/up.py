"""The command `firstcall up`."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.cli.terminal import out, settings_or_exit


def up(workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers to run.")] = 1) -> None:
    """Run everything on this machine: broker and ClickHouse unless given, topics, tables, worker, sink, alerts.

    Example: `firstcall up --workers 2`
    """
    from deploy.stack.stack import Stack

    settings_or_exit()
    with Stack(out) as stack:
        stack.services.start_kafka()
        stack.services.start_clickhouse()
        stack.create_tables()
        stack.create_topics()
        stack.show_metrics()
        stack.start_streams(workers)
        stack.start_alerts()
        out.print(
            f"\nProducers write to {stack.settings.brokers}. Try: `firstcall generate`, `firstcall query`. Ctrl-C ends all."
        )
        stack.serve()

"""The command `firstcall audit`."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from deploy.cli.terminal import definitions_of, err, fail, out, progress, settings_or_exit
from schemas.errors import DeploymentError


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
    """Recompute every number from the events in ClickHouse, and compare it with what the streams published.

    Exits with 1 if anything differs, with 2 if it could not be done. While events come in, the streams or the sink may be
    behind: differences that are gone in the next audit were that.

    Example: `firstcall audit`, or `firstcall audit --format json > audit.json`
    """
    from deploy.audit import report
    from deploy.audit.run import audit as run_audit
    from deploy.services.required import reachable_clickhouse
    from sinks.clickhouse import Address

    settings = settings_or_exit()
    definitions = definitions_of(settings)
    try:
        with (
            reachable_clickhouse(settings, err) as reached,
            progress("", "{task.percentage:>3.0f}%", "{task.description}", transient=True) as bar,
        ):
            task = bar.add_task("Starting")
            found = run_audit(
                Address.parse(reached.clickhouse_address),
                definitions,
                copies_seconds=copies_within,
                progress=lambda number, total, title: bar.update(
                    task, completed=number, total=total, description=title
                ),
            )
    except DeploymentError as error:
        fail(str(error), 2)
    if form == "json":
        sys.stdout.buffer.write(report.as_json(found))
    else:
        report.show(out, found)
    if found.wrong:
        raise typer.Exit(1)

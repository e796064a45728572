"""The command `firstcall doctor`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from deploy.cli.terminal import fail, out, settings_or_exit

_MARKS: Final = {"ok": "[green]✓[/]", "note": "[yellow]![/]", "wrong": "[red]✗[/]"}


def doctor(
    checks: Annotated[
        list[str] | None, typer.Argument(help="Only these, as `kafka clickhouse`. All by default.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what is wrong.")] = False,
) -> None:
    """Check Python, configuration, Kafka, topics, lag and ClickHouse, and show what to do. Exits with 1 if something is wrong.

    Example: `firstcall doctor`, or in a health check: `firstcall doctor --quiet kafka clickhouse`
    """
    from deploy.doctor.checks import CHECKS, examine

    unknown = sorted(set(checks or ()) - set(CHECKS))
    if unknown:
        fail(f"no check named {', '.join(unknown)}; there are {', '.join(CHECKS)}", 2)
    wrong = False
    for finding in examine(settings_or_exit(), checks or ()):
        wrong |= finding.verdict == "wrong"
        if quiet and finding.verdict != "wrong":
            continue
        out.print(f"{_MARKS[finding.verdict]} [bold]{finding.check:<13}[/]", end=" ")
        out.plain(finding.detail)
        if finding.advice:
            out.plain(f"                → {finding.advice}")
    if wrong:
        raise typer.Exit(1)

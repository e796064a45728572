"""The command `firstcall replay`: events from files into the topics, or all that is in the topics under changed definitions."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from deploy.cli.data_commands import feeder_or_exit, report_or_exit
from deploy.cli.terminal import err, fail, reported_failures, settings_or_exit


def replay(
    file: Annotated[str | None, typer.Argument(help="NDJSON, also gzipped (.gz), or `-` for standard input.")] = None,
    source: Annotated[
        Literal["web", "api"], typer.Option(help="What events are that do not say it themselves.")
    ] = "web",
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without Kafka, straight into an empty ClickHouse database.")
    ] = False,
    from_start: Annotated[
        bool,
        typer.Option(
            "--from-start",
            help="After a change of the definitions: make all numbers anew from the input topics, while the old ones are served.",
        ),
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Remove what such replays have left of the numbers before them.")
    ] = False,
    elsewhere: Annotated[
        bool,
        typer.Option(
            "--elsewhere", help="From the start: worker and sink of FIRSTCALL_GENERATION run elsewhere; wait for them."
        ),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="From the start: with so many workers.")] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="From the start: even if the definitions are the same.")
    ] = False,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="From the start: even if the topics have lost their beginning.")
    ] = False,
    despite_erasures: Annotated[
        bool, typer.Option("--despite-erasures", help="From the start: even if an erasure was asked for meanwhile.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="From the start: only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Feed events of any accepted format, one JSON object a line, as from an export. Sending some again does no harm.

    With --from-start: make all numbers anew under changed definitions (deploy/README.md, Changing the definitions).

    Example: `firstcall replay segment-export.ndjson.gz`, `zcat logs/*.gz | firstcall replay - --source api`, or `firstcall replay --from-start --dry-run`
    """
    if from_start or drop_old:
        from deploy.cli import rebuild

        if file is not None or (from_start and drop_old):
            fail("give one of FILE, --from-start and --drop-old", 2)
        if drop_old:
            rebuild.drop_old(yes=yes)
            return
        rebuild.from_start(rebuild.Choices(elsewhere, workers, force, allow_truncated, despite_erasures, dry_run, yes))
        return
    if file is None:
        fail("give a file to feed, or `-` for standard input; --from-start reads the topics themselves", 2)
    from deploy.importer.feed import open_lines
    from deploy.services.required import reachable_clickhouse

    columns = (
        SpinnerColumn(),
        TextColumn("Replaying"),
        BarColumn(),
        TextColumn("{task.fields[lines]:,} lines"),
        TimeElapsedColumn(),
    )
    with reported_failures(), ExitStack() as opened:
        try:
            lines = opened.enter_context(open_lines(None if file == "-" else Path(file)))
        except OSError as error:
            fail(f"{file}: {error.strerror}", 2)
        settings = settings_or_exit()
        if in_process:
            settings = opened.enter_context(reachable_clickhouse(settings, err))
        feeder = feeder_or_exit(settings, source, in_process=in_process)
        progress = opened.enter_context(Progress(*columns, console=err))
        task = progress.add_task("", total=lines.size, lines=0)
        number = 0
        for number, line in enumerate(lines.stream, 1):
            feeder.feed(number, line)
            if number % 1000 == 0:
                progress.update(task, completed=lines.position(), lines=number)
        progress.update(task, completed=lines.position(), lines=number)
        summary = feeder.finish()
    report_or_exit(summary)

"""The command `firstcall erase`. Its output names nobody, so that it may be kept."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.terminal import definitions_of, err, fail, out, settings_or_exit

if TYPE_CHECKING:
    from deploy.erasure.erasure_rows import Extent
    from deploy.erasure.run import ErasureRun
    from deploy.services.pipeline_progress import PipelineProgress
    from schemas.config.definitions import Level
    from streams.erasure.plan import Erasure


def erase(
    user: Annotated[str | None, typer.Option(help="A user id: this person, with all ids that were merged.")] = None,
    company: Annotated[str | None, typer.Option(help="A company id. Its people stay, without it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    despite_unfinished: Annotated[
        bool, typer.Option("--despite-unfinished", help="Even if another erasure was begun and is not finished.")
    ] = False,
) -> None:
    """Erase a person or a company from all that Firstcall holds. Worker and sink must run; events may flow on.

    Interrupted, it goes on when it is given again. Later events of the same id count as a new one.

    Example: `firstcall erase --user u-1842 --dry-run`
    """
    from deploy.erasure.run import ErasureRun
    from deploy.erasure.statements import Statements
    from deploy.services import topics
    from deploy.services.pipeline_progress import PipelineProgress
    from deploy.services.required import require_clickhouse
    from schemas.config.loading import hmac_secrets
    from sinks.clickhouse import Address
    from streams.erasure.plan import Request

    identifier = company if user is None else user
    if not identifier or (user is not None and company is not None):
        fail("give one id: --user ID or --company ID", 2)
    level: Level = "company" if user is None else "developer"
    settings = settings_or_exit()
    definitions, secrets = definitions_of(settings), hmac_secrets(settings)
    with ExitStack() as opened:
        require_clickhouse(settings)
        wrong = topics.wrong_topics(settings)
        if wrong:
            fail("\n".join(wrong))
        statements = opened.enter_context(closing(Statements(Address.parse(settings.clickhouse_address))))
        request = Request(level, identifier, int(time.time() * 1000))
        run = opened.enter_context(closing(ErasureRun(request, settings, definitions, secrets, statements)))
        pipeline = PipelineProgress(opened.enter_context(topics.administration(settings)), settings)
        _erase(run, pipeline, dry_run=dry_run, yes=yes, despite_unfinished=despite_unfinished)


def _erase(run: ErasureRun, pipeline: PipelineProgress, *, dry_run: bool, yes: bool, despite_unfinished: bool) -> None:
    pipeline.require_running()
    with err.status("Waiting until all events that have come are in ClickHouse …"):
        pipeline.await_sink()
    with err.status("Looking for what is to be erased …"):
        erasure = run.plan()
        extent = run.extent(erasure)
    interrupted = _is_interrupted(run, extent)
    _show(run, erasure, extent)
    if dry_run:
        return
    others = run.unfinished()
    if others and not despite_unfinished:
        fail(
            f"another erasure is at work, or was interrupted; it was asked for on {_day(others[0].asked_at)}. Let it end, or give"
            " its command again. If nobody knows any more whose it was, go on with --despite-unfinished"
        )
    if interrupted:
        out.print("It was begun before and interrupted; it goes on.")
    if not yes and not typer.confirm("Erase all this for ever?"):
        raise typer.Exit(1)
    steps = count(1)
    try:
        row = run.erase(erasure, pipeline, lambda step: out.print(f"[dim]{next(steps)}[/] {step} …", highlight=False))
    except BaseException:
        # Of whatever kind: the operator must not believe that it is done.
        err.print("Not finished. Give the same command again: it goes on from any place.", style="yellow")
        raise
    out.done(
        f"Erased, and nothing is left in state, row topics and ClickHouse. Recorded as {row.subject} in `erasures`."
    )


def _is_interrupted(run: ErasureRun, extent: Extent) -> bool:
    """Whether it was begun before and not finished. Ends the command if there is nobody to erase."""
    earlier = run.earlier()
    if any(not row.completed_at for row in earlier):
        return True
    if extent.events:
        return False
    if earlier:
        out.print(f"Nothing to do: erased on {_day(earlier[-1].completed_at)}, and nothing has come since.")
        raise typer.Exit
    return fail("no event in ClickHouse names this id. Check its spelling", 2)


def _show(run: ErasureRun, erasure: Erasure, extent: Extent) -> None:
    """What will be deleted, in numbers."""
    what = "This person" if run.request.level == "developer" else "This company"
    parts = [_counted(extent.events, "event row"), _counted(extent.keys, "API key")]
    if run.request.level == "developer":
        merged = f", {_counted(extent.users - 1, 'merged user id')}" if extent.users > 1 else ""
        parts.append(f"{_counted(extent.aliases, 'session token or anonymous id')}{merged}")
    out.plain(f"{what}: {', '.join(parts)}.")
    shared = len(erasure.users) + len(erasure.aliases)
    out.plain(
        f"{_counted(shared, 'id')} are searched, with those of others that shared something; what is theirs stays."
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""`firstcall replay --from-start`: tells what it will do, does it with a bar, and says what runs afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import typer
from kafka.admin import KafkaAdminClient
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.cli.stack import Stack
from deploy.cli.terminal import definitions_or_exit, err, fail, out, reported_failures, settings_or_exit
from deploy.rebuild import generations, run
from deploy.rebuild.plan import Plan, compile_definitions, told
from deploy.services import topics
from schemas.config.settings import Settings
from sinks.migrations import migrate


@dataclass(frozen=True)
class Choices:
    """What was given to the command; see its help."""

    elsewhere: bool = False
    workers: int = 1
    force: bool = False
    allow_truncated: bool = False
    despite_erasures: bool = False
    dry_run: bool = False
    yes: bool = False


def from_start(choices: Choices) -> None:
    """Make all numbers anew under the configured definitions, and show them."""
    settings = settings_or_exit()
    definitions = definitions_or_exit(settings)
    with reported_failures(), Stack(err) as services:
        services.start_kafka()
        services.start_clickhouse()
        with topics.administration(settings) as client:
            _finish_interrupted(settings)
            plan = compile_definitions(client, settings, definitions, elsewhere=choices.elsewhere)
            if not _is_agreed(plan, settings, choices):
                return
            try:
                _replay(client, plan, settings, choices)
            except BaseException:
                # Of whatever kind: who reads this must know which numbers there are.
                shown = generations.live(settings)
                if shown == plan.before:
                    err.print(
                        "Not finished; the numbers from before are served. Give the same command again: it goes on.",
                        style="yellow",
                    )
                raise


def drop_old(*, yes: bool) -> None:
    """Remove tables, topics and state of all generations before the live one."""
    settings = settings_or_exit()
    with reported_failures(), Stack(err) as services:
        services.start_kafka()
        services.start_clickhouse()
        live = generations.live(settings)
        if live == 1:
            fail("there is only the first generation, and it is live", 2)
        out.print(f"Generation {live} is live. Removed are tables, topics and state of those before.", highlight=False)
        if not yes and not typer.confirm("Remove them for ever?"):
            raise typer.Exit(1)
        with topics.administration(settings) as client:
            generations.carry_history(settings, generations.generation_before(settings, live), live)
            run.remove(client, settings, range(1, live))
        out.print(f"[green]✓[/] Only generation {live} is left.", highlight=False)


def _finish_interrupted(settings: Settings) -> None:
    """A replay may have ended just after it showed the new numbers."""
    live = generations.live(settings)
    if live > 1:
        run.finish(settings, generations.generation_before(settings, live), live)
    if live > settings.generation and run.hand_over(settings, live):
        out.print(f"Generation {live} is live already, and runs from now on.", highlight=False)


def _is_agreed(plan: Plan, settings: Settings, choices: Choices) -> bool:
    """Tell the plan, and whether it is to be done. Ends the command when something speaks against it."""
    for line in told(plan, settings):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if plan.is_unchanged and not choices.force:
        fail(
            "The definitions have not changed, so the numbers would not either. Sections that only readers need (churn_risks,"
            " power_users) and `monitors` hold from the next start of sink and alerts on. To do it all the same: --force",
            2,
        )
    if plan.is_truncated and not choices.allow_truncated:
        fail(
            "The input topics have lost their beginning, and what is not there any more will be in none of the new numbers. To do it"
            " all the same: --allow-truncated. Or feed the export of it first (`firstcall replay FILE`)",
            2,
        )
    if choices.dry_run:
        return False
    if not choices.yes and not typer.confirm("Do it?"):
        raise typer.Exit(1)
    return True


def _replay(client: KafkaAdminClient, plan: Plan, settings: Settings, choices: Choices) -> None:
    run.remove(client, settings, plan.abandoned)
    with Stack(out, {"generation": plan.after}) as stack:
        # What is carried over goes between tables of the same version.
        migrate(generations.address_of(settings, plan.before), cluster=settings.clickhouse_cluster)
        stack.create_tables()
        stack.create_topics()
        run.begin(plan, settings)
        if not choices.elsewhere:
            stack.start_streams(choices.workers)
        columns = (
            SpinnerColumn(),
            TextColumn("Replaying"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]:,} left"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=err) as progress:
            task = progress.add_task("", total=None, left=0)

            def advance(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total, left=total - done)

            run.catch_up(client, plan, settings, advance, stack.check)
        run.take_over(plan, settings, despite_erasures=choices.despite_erasures)
    _tell_what_runs(plan, settings)


def _tell_what_runs(plan: Plan, settings: Settings) -> None:
    out.print(
        f"[green]✓[/] Dashboards read generation {plan.after}, made under {plan.definitions.fingerprint()}.",
        highlight=False,
    )
    if run.hand_over(settings, plan.after):
        text = "It is the one that runs from this data directory on: a running `firstcall up` changes over by itself within seconds."
        if settings.kafka is not None and settings.clickhouse is not None:
            text += f" Where worker, sink and alerts run elsewhere: FIRSTCALL_GENERATION={plan.after}."
    else:
        text = f"Run worker, sink and alerts with FIRSTCALL_GENERATION={plan.after} from now on, and stop those of generation {plan.before}."
    out.print(text, highlight=False, soft_wrap=True)
    out.print(
        f"Tables, topics and state of generation {plan.before} are still there: `firstcall replay --drop-old` removes them.",
        highlight=False,
        soft_wrap=True,
    )

"""The command `firstcall rebuild`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.terminal import definitions_of, err, fail, out, progress, settings_or_exit

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

    from deploy.rebuild.plan import Plan
    from schemas.config.settings import Settings


def rebuild(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers to run.")] = 1,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="Worker and sink of FIRSTCALL_GENERATION run elsewhere; wait for them.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Even if the definitions are the same.")] = False,
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Even if the topics have lost their beginning.")
    ] = False,
    despite_erasures: Annotated[
        bool, typer.Option("--despite-erasures", help="Even if an erasure was requested meanwhile.")
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Instead: remove what rebuilds have left of the numbers before them.")
    ] = False,
) -> None:
    """Rebuild all numbers from the input topics after a change of the definitions, while the old numbers are served.

    Interrupted, it continues when it is run again (deploy/docs/rebuild.md).

    Example: `firstcall rebuild --dry-run`, then `firstcall rebuild`, and later `firstcall rebuild --drop-old`
    """
    from deploy.rebuild import generations
    from deploy.rebuild.plan import make_plan
    from deploy.services import topics
    from deploy.stack.local_services import LocalServices

    settings = settings_or_exit()
    if drop_old:
        _drop_old(settings, yes=yes)
        return
    definitions = definitions_of(settings)
    with LocalServices(settings, err) as services:
        services.start_kafka()
        services.start_clickhouse()
        with topics.administration(settings) as client:
            _finish_interrupted(settings)
            plan = make_plan(client, settings, definitions, elsewhere=elsewhere)
            _show_and_check(plan, settings, force=force, allow_truncated=allow_truncated)
            if dry_run:
                return
            if not yes and not typer.confirm("Do it?"):
                raise typer.Exit(1)
            try:
                _rebuild(client, plan, settings, 0 if elsewhere else workers, despite_erasures=despite_erasures)
            except BaseException:
                # Even of an interrupt: a person must know which numbers are served.
                if generations.live(settings) == plan.before:
                    err.print(
                        "Not finished; the numbers from before are served. Run the same command again: it continues.",
                        style="yellow",
                    )
                raise


def _drop_old(settings: Settings, *, yes: bool) -> None:
    """Remove tables, topics and state of all generations before the live one."""
    from deploy.rebuild import generations, history, removal
    from deploy.services import topics
    from deploy.stack.local_services import LocalServices

    with LocalServices(settings, err) as services:
        services.start_kafka()
        services.start_clickhouse()
        live = generations.live(settings)
        if live == 1:
            fail("there is only the first generation, and it is live", 2)
        out.plain(f"Generation {live} is live. Tables, topics and state of those before will be removed.")
        if not yes and not typer.confirm("Remove them for ever?"):
            raise typer.Exit(1)
        with topics.administration(settings) as client:
            history.copy_tables(settings, generations.generation_before(settings, live), live)
            removal.remove(client, settings, range(1, live))
        out.done(f"Only generation {live} is left.")


def _finish_interrupted(settings: Settings) -> None:
    """Finish a rebuild that ended just after it had switched the views."""
    from deploy.rebuild import generations, history, steps

    live = generations.live(settings)
    if live > 1:
        history.copy_tables(settings, generations.generation_before(settings, live), live)
    if live > settings.generation and steps.activate(settings, live):
        out.plain(f"Generation {live} is live already, and runs from now on.")


def _show_and_check(plan: Plan, settings: Settings, *, force: bool, allow_truncated: bool) -> None:
    """Show the plan. Ends the command when its numbers would be the same, or incomplete."""
    from deploy.rebuild.plan import described

    for line in described(plan, settings):
        out.plain(line)
    if plan.is_unchanged and not force:
        fail(
            "The definitions have not changed, so the numbers would not either. Sections that only readers need (churn_risks,"
            " power_users) and `monitors` hold from the next start of sink and alerts on. To rebuild all the same: --force",
            2,
        )
    if plan.is_truncated and not allow_truncated:
        fail(
            "The input topics have lost their beginning, and the new numbers would lack it. To rebuild all the same:"
            " --allow-truncated. Or import an export of it first: `firstcall import FILE`",
            2,
        )


def _rebuild(client: KafkaAdminClient, plan: Plan, settings: Settings, workers: int, *, despite_erasures: bool) -> None:
    """Without `workers`, others run the new generation's worker and sink."""
    from deploy.rebuild import generations, removal, steps
    from deploy.stack.stack import Stack
    from sinks.migrations import migrate

    removal.remove(client, settings, plan.abandoned)
    with Stack(out, {"generation": plan.after}) as stack:
        # Rows are copied between tables of the same version.
        migrate(generations.address_of(settings, plan.before), cluster=settings.clickhouse_cluster)
        stack.create_tables()
        stack.create_topics()
        steps.begin(plan, settings)
        if workers:
            stack.start_streams(workers)
        with progress("Rebuilding", "{task.percentage:>3.0f}%", "{task.fields[left]:,} left") as bar:
            task = bar.add_task("", total=None, left=0)

            def advance(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, left=total - done)

            steps.catch_up(client, plan, settings, advance, stack.check)
        steps.switch_over(plan, settings, despite_erasures=despite_erasures)
    _show_what_runs(plan, settings)


def _show_what_runs(plan: Plan, settings: Settings) -> None:
    from deploy.rebuild import steps

    out.done(f"Dashboards read generation {plan.after}, made under {plan.definitions.fingerprint()}.")
    if steps.activate(settings, plan.after):
        text = "It runs from this data directory from now on: a running `firstcall up` changes over within seconds."
        if settings.kafka is not None and settings.clickhouse is not None:
            text += f" Where worker, sink and alerts run elsewhere: FIRSTCALL_GENERATION={plan.after}."
    else:
        text = f"Run worker, sink and alerts with FIRSTCALL_GENERATION={plan.after} from now on, and stop those of generation {plan.before}."
    out.plain(text)
    out.plain(
        f"Tables, topics and state of generation {plan.before} are still there: `firstcall rebuild --drop-old` removes them."
    )

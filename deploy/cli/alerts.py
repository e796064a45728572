"""The command `firstcall alerts`."""

from __future__ import annotations

import signal
import threading
import time
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.cli.terminal import definitions_of, fail, out, settings_or_exit, time_or_exit

if TYPE_CHECKING:
    from schemas.config.monitors import Monitors
    from schemas.config.settings import Settings

TEST_WITHIN_SECONDS = 30.0


def alerts(
    once: Annotated[
        bool, typer.Option("--once", help="Evaluate the last closed hour, print the status of each monitor, and end.")
    ] = False,
    at: Annotated[str, typer.Option(help="With --once: evaluate as of this time (UTC, ISO 8601), to look back.")] = "",
    test: Annotated[bool, typer.Option("--test", help="Send a test alert through every channel, and end.")] = False,
) -> None:
    """Watch activation, conversion, active tokens, time to first call and the sources, and alert. Run one of it.

    Example: `firstcall alerts`, `firstcall alerts --once --at 2026-05-18T09:00`, `firstcall alerts --test`
    """
    from deploy.cli import logs
    from schemas.config.monitors import load

    settings = settings_or_exit()
    monitors = load(settings.config, definitions_of(settings))
    logs.configure(settings)
    if test:
        _test(monitors)
    elif once or at:
        _once(settings, monitors, at)
    else:
        _serve(settings, monitors)


def _serve(settings: Settings, monitors: Monitors) -> None:
    from prometheus_client import REGISTRY

    from deploy.alerts.publisher import publisher
    from deploy.alerts.watch import Watch, run
    from deploy.local.process import status_server
    from schemas import metrics
    from sinks.clickhouse import Address
    from streams.runtime.heartbeats import Heartbeats
    from streams.runtime.watchdog import Watchdog

    stop = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    watch = Watch(Address.parse(settings.clickhouse_address), monitors, publisher(settings))
    try:
        heartbeats = Heartbeats()
        for thread in watch.dispatch.threads():
            heartbeats.watch(thread)
        watchdog = Watchdog(heartbeats, watch.report, None, stop)
        REGISTRY.register(metrics.ALERTS)
        status_server.show(settings, "alerts", watchdog)
        watchdog.start()
        run(settings, watch, stop, heartbeats)
    finally:
        watch.stop()


def _once(settings: Settings, monitors: Monitors, at: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from deploy.alerts.evaluator import Evaluator
    from deploy.services.required import reachable_clickhouse
    from sinks.clickhouse import Address, connected

    until = int(time_or_exit("--at", at).timestamp() * 1000 if at else time.time() * 1000)
    title = f"As of {datetime.fromtimestamp(until / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    table = Table("monitor", "status", title=title, title_justify="left")
    for number in ("weeks", "observed", "expected", "evidence"):
        table.add_column(number, justify="right")
    forms = {"weeks": ".1f", "observed": ",.0f", "expected": ",.1f", "strength": ".0%"}
    summaries = []
    with reachable_clickhouse(settings, out) as reachable:
        address = Address.parse(reachable.clickhouse_address)
        evaluator = Evaluator(monitors, {})
        with connected(address) as client:
            for name in monitors.watch:
                evaluation = evaluator.check(name, client, until)
                row = evaluator.row(evaluation)
                numbers = ("–" if row[column] is None else format(row[column], form) for column, form in forms.items())
                table.add_row(name, evaluation.status.condition, *numbers)
                summaries += [alert.summary for alert in evaluator.carried[name].pending]
    out.print(table)
    for summary in summaries:
        out.print(f"\n[red]✗[/] {escape(summary)}", highlight=False, soft_wrap=True)


def _test(monitors: Monitors) -> None:
    from deploy.alerts.alert import trial
    from deploy.alerts.dispatch import Dispatch

    if not monitors.channels:
        fail(
            "no channels are configured: name them in the section `monitors` of the file that FIRSTCALL_CONFIG names", 2
        )
    delivered: list[str] = []
    dispatch = Dispatch(monitors.channels, lambda _, channel, __: delivered.append(channel))
    now = int(time.time() * 1000)
    dispatch.post(trial(now))
    end = time.monotonic() + TEST_WITHIN_SECONDS
    while not dispatch.idle() and time.monotonic() < end:
        time.sleep(0.05)
    dispatch.stop()
    for channel in monitors.channels:
        out.print(f"{'[green]✓[/]' if channel in delivered else '[red]✗[/]'} {channel}", highlight=False)
    if len(delivered) < len(monitors.channels):
        raise typer.Exit(1)

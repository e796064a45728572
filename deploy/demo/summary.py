"""What the demo prints at its end: the numbers, and commands to go on with."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final

from rich.console import Console

from deploy.queries import answers, catalog
from deploy.services.required import shown_path
from schemas.config.settings import Settings
from sinks.clickhouse import Address, connected
from sinks.reconcile import reconcile

#: (query, parameters, title), in the order of a developer's way.
SUMMARY: Final[tuple[tuple[str, dict[str, str], str], ...]] = (
    ("funnel", {"level": "developer"}, "Funnel: developers"),
    ("funnel", {"level": "company"}, "Funnel: companies"),
    ("activation", {}, "Activation"),
    ("active", {}, "Weekly active (production use)"),
    ("ttfc", {}, "Time to first call"),
    ("concentration", {"window_hours": "672"}, "Concentration of production calls, last 28 days"),
    ("dead-letters", {}, "Refused messages"),
)
EXAMPLE_SQL: Final = (
    "SELECT name, uniq(developer_id) AS developers FROM events_resolved GROUP BY name ORDER BY developers DESC"
)


def show_summary(settings: Settings, console: Console) -> None:
    with connected(Address.parse(settings.clickhouse_address)) as client:
        # The sink reconciles every few seconds; the summary must include everything.
        reconcile(client)
        for name, given, title in SUMMARY:
            query = catalog.find_query(name)
            console.print()
            answers.show(console, catalog.ask(client, query.sql, catalog.bind(query, given)), title)


def next_steps(settings: Settings, *, serve: bool) -> Iterator[str]:
    """Commands that work in this directory on the demo's data."""
    data_dir = "" if settings.clickhouse else f"FIRSTCALL_DATA_DIR={quote(str(shown_path(settings.data_dir)))} "
    command = f"{data_dir}{_command()}"
    yield "\nGo on with:"
    yield f"  {command} query                  the named queries"
    yield f"  {command} query campaigns        what first touches lead to"
    yield f'  {command} query --sql "{EXAMPLE_SQL}"'
    if serve:
        yield f"\nClickHouse is at {settings.clickhouse_shown}, Kafka at {settings.brokers}. Ctrl-C ends all."


def _command() -> str:
    """How this installation's command is called from this directory."""
    script = Path(sys.executable).parent / "firstcall"
    found = shutil.which("firstcall")
    if found is not None and (not script.exists() or Path(found).samefile(script)):
        return "firstcall"
    return quote(str(shown_path(script)))

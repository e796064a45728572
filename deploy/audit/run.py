"""An audit from beginning to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from deploy.audit.comparison import Finding, comparisons
from deploy.audit.recomputation import steps
from deploy.audit.workspace import Workspace, workspace
from schemas.config.definitions import Definitions
from schemas.errors import ClickHouseError
from sinks.clickhouse import Address, named_errors
from sinks.migrations import pending_migrations

#: Called before each step with its number, how many there are, and what it does.
Progress = Callable[[int, int, str], None]

#: What a statement may hold in memory; beyond a part of it, it works on disk.
MEMORY_BYTES: Final = 2_000_000_000
#: A client's retry moves an event by seconds.
COPIES_SECONDS: Final = 60


@dataclass(frozen=True)
class Audit:
    """What an audit found. `events`: how many there are. `is_moving`: rows came in while it ran."""

    findings: list[Finding]
    events: int
    seconds: float
    is_moving: bool

    @property
    def wrong(self) -> int:
        """The number of differences."""
        return sum(finding.wrong for finding in self.findings)


def audit(
    address: Address,
    definitions: Definitions,
    *,
    copies_seconds: int = COPIES_SECONDS,
    memory_bytes: int = MEMORY_BYTES,
    progress: Progress | None = None,
) -> Audit:
    """Recompute everything and compare it.

    `copies_seconds`: how much later than the earliest a copy of an event may be. Raises ClickHouseError,
    also when the tables are not those of this version.
    """
    began = monotonic()
    pending = pending_migrations(address)
    if pending:
        raise ClickHouseError(
            f"{address} has not run {pending[0].file_name} yet, so there is nothing to compare with;"
            " run `firstcall migrate`, or check that this is the right database"
        )
    findings: list[Finding] = []
    with workspace(address, memory_bytes) as space, named_errors(address):
        before = _newest(space)
        todo = [*steps(space, definitions), *comparisons(space, definitions, copies_seconds * 1000, findings)]
        for number, step in enumerate(todo):
            if progress is not None:
                progress(number, len(todo), step.title)
            step.run()
        [(events,)] = space.rows("count")
        is_moving = _newest(space) != before
    return Audit(findings, events, monotonic() - began, is_moving)


def _newest(space: Workspace) -> list[tuple[int, ...]]:
    """The newest versions, which change when rows come in."""
    return [tuple(row) for row in space.rows("newest")]

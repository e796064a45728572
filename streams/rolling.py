"""Rolling counts as differences: a row says by how much a metric changes at an hour, and the running sum is the count.

A subject that is active in hour `b` is counted in the windows ending at `b ... b + W - 1`: one step up and one step
down per uninterrupted presence, whatever W is. Steps are kept per partition (the scope); readers add the scopes up.

Increments are not idempotent, so every row carries the offset up to which its log is included. Rows are written
before the state they follow from, and the shell lets a batch that was interrupted end where it ended before, so that
a step is either in the row, or derived again, never both.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from schemas.definitions import Level
from streams.activation import Activated
from streams.facts import Facts
from streams.hours import WINDOWS_HOURS, Hours, coverage_edges, hour_of
from streams.outbox import Outbox, PublishedRow
from streams.plan import Plan
from streams.published import rolling_row
from streams.rows import Rows, row_key


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What rolling counts see of a subject: hours of activity per metric, and moments (as hours) per metric."""

    hours: dict[str, Hours] = {}
    moments: dict[str, int] = {}


NOWHERE = Standing()


class _Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    steps: int
    included_to: int


def standing_of(plan: Plan, facts: Facts, reached: dict[str, Activated], active_metric: str) -> Standing:
    """The standing of a subject that counts. `active_metric`: what its hours of production use count for, or ''."""
    hours = facts.hours.get("production")
    moments = {f"activated:{name}": hour_of(activated.activated_at) for name, activated in reached.items()}
    signup = plan.signup_selector
    if signup is not None and signup in facts.firsts:
        moments["signups"] = hour_of(facts.firsts[signup])
    return Standing({active_metric: hours} if hours is not None and active_metric else {}, moments)


class RollingCounts:
    """The steps of one batch in one partition."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, Level, int, int], int] = defaultdict(int)

    def move(self, level: Level, before: Standing, after: Standing) -> None:
        """A subject stood `before` and stands `after`."""
        if before == after:
            return
        for metric in before.hours.keys() | after.hours.keys():
            old, new = before.hours.get(metric), after.hours.get(metric)
            if old == new:
                continue
            for window in WINDOWS_HOURS:
                for hour, step in coverage_edges(old, new, window).items():
                    self._steps[metric, level, window, hour] += step
        for metric in before.moments.keys() | after.moments.keys():
            was, now = before.moments.get(metric), after.moments.get(metric)
            if was == now:
                continue
            for moment, step in ((was, -1), (now, 1)):
                if moment is not None:
                    for window in WINDOWS_HOURS:
                        self._steps[metric, level, window, moment] += step
                        self._steps[metric, level, window, moment + window] -= step

    def settle(self, rows: Rows, outbox: Outbox, scope: str, end: int) -> list[tuple[bytes, bytes | None]]:
        """Add the batch's steps to the rows, once: a row that includes offset `end` already has them."""
        for (metric, level, window, hour), steps in self._steps.items():
            key = row_key(b"r", metric, level) + window.to_bytes(2, "big") + hour.to_bytes(4, "big")
            row = rows.get(key, _Row)
            if row is not None and row.included_to >= end:
                continue
            # Also where the steps of several subjects cancel out: folded again after some of their rows were written,
            # the others' steps would not.
            row = _Row((row.steps if row else 0) + steps, end)
            rows.put(key, row)
            if not steps:
                continue
            outbox.publish(_published(scope, (metric, level, window, hour), row))
        return rows.changes()


def _published(scope: str, place: tuple[str, Level, int, int], row: _Row) -> PublishedRow:
    metric, level, window, hour = place
    return rolling_row(scope, metric, level, window_hours=window, hour=hour, delta=row.steps, version=row.included_to)

"""Rolling counts as differences: a row holds by how much a metric changes at an hour; the running sum is the count.

A subject that is active in hour `b` is counted in the windows ending at `b ... b + W - 1`: one step up and one step
down per uninterrupted presence, whatever W is. A moment, as a sign-up, is one step for all windows: readers know when it
leaves each. Subjects are counted all together, and by each counted value of a segment. Steps are kept per partition (the
scope); readers add the scopes up.

Increments are not idempotent, so every row carries the offset up to which its log is included. Rows are written before
the state that they follow from, and an interrupted batch is folded again up to the same offset. So a step is either in
the row or derived again, never both.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from schemas.config.definitions import Level
from streams.facts.activation import Activated, matured_of
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.facts.facts import Facts
from streams.facts.hours import WINDOWS_HOURS, Hours, coverage_edges, hour_of
from streams.facts.segments import counted_segments
from streams.messages.outbox import Outbox, PublishedRow
from streams.messages.published_rows import rolling_row
from streams.state.rows import Rows, row_key


class CountedState(msgspec.Struct, frozen=True, gc=False):
    """What a subject is counted by: hours of activity per metric, and moments (as hours) per metric.

    `segments`: the (segment, value) whose counts include it, beside the count of all subjects.
    """

    hours: dict[str, Hours] = {}
    moments: dict[str, int] = {}
    segments: frozenset[tuple[str, str]] = frozenset()


UNCOUNTED = CountedState()

#: The segment of all subjects.
ALL = ("", "")

#: The window of a moment, which counts in every one that holds it.
EVERY_WINDOW = 0

#: (metric, window in hours, hour).
CountKey = tuple[str, int, int]


class _Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    steps: int
    included_to: int


def counted_state_of(
    compiled: CompiledDefinitions,
    level: Level,
    facts: Facts,
    reached: dict[str, Activated],
    active_metric: str,
    segments: dict[str, str],
) -> CountedState:
    """The counted state of a subject. `active_metric`: the metric of its hours of production use, or ''."""
    hours = facts.hours.get("production")
    moments = {f"activated:{name}": hour_of(activated.activated_at) for name, activated in reached.items()}
    if compiled.signup_selector in facts.firsts:
        moments["signups"] = hour_of(facts.firsts[compiled.signup_selector])
    for name, matured_at in matured_of(compiled, level, facts).items():
        # An activation lies within the span, so it is known when the span is over.
        moments[f"matured:{name}"] = hour_of(matured_at)
        if name in reached:
            moments[f"matured_activated:{name}"] = hour_of(matured_at)
    active = {active_metric: hours} if hours is not None and active_metric else {}
    return CountedState(
        active, moments, counted_segments(compiled.definitions, segments) if active or moments else frozenset()
    )


class RollingCounts:
    """The steps of one batch in one partition."""

    def __init__(self) -> None:
        self._steps: dict[tuple[Level, tuple[str, str], CountKey], int] = defaultdict(int)

    def move(self, level: Level, before: CountedState, after: CountedState) -> None:
        """Count a subject whose state changes from `before` to `after`."""
        if before == after:
            return
        changes = _changes(before, after)
        for segment in (ALL, *(before.segments & after.segments)):
            self._add(level, segment, changes)
        for left, was, now in (
            (before.segments - after.segments, before, UNCOUNTED),
            (after.segments - before.segments, UNCOUNTED, after),
        ):
            if left:
                changes = _changes(was, now)
                for segment in left:
                    self._add(level, segment, changes)

    def _add(self, level: Level, segment: tuple[str, str], changes: dict[CountKey, int]) -> None:
        for key, step in changes.items():
            self._steps[level, segment, key] += step

    def apply(self, rows: Rows, outbox: Outbox, scope: str, end: int) -> list[tuple[bytes, bytes | None]]:
        """Add the batch's steps to the rows, once: a row that includes offset `end` already has them."""
        for (level, segment, count_key), steps in self._steps.items():
            metric, window, hour = count_key
            key = row_key(b"r", metric, level, *segment) + window.to_bytes(2, "big") + hour.to_bytes(4, "big")
            row = rows.get(key, _Row)
            if row is not None and row.included_to >= end:
                continue
            # Also where the steps of several subjects cancel out: folded again after some of their rows were written,
            # the others' steps would not.
            row = _Row((row.steps if row else 0) + steps, end)
            rows.put(key, row)
            if not steps:
                continue
            outbox.publish(_published(scope, level, segment, count_key, row))
        return rows.changes()


def _changes(before: CountedState, after: CountedState) -> dict[CountKey, int]:
    """The steps that lead from one state to the other, segments aside."""
    steps: dict[CountKey, int] = defaultdict(int)
    for metric in before.hours.keys() | after.hours.keys():
        old, new = before.hours.get(metric), after.hours.get(metric)
        if old != new:
            for window in WINDOWS_HOURS:
                for hour, step in coverage_edges(old, new, window).items():
                    steps[metric, window, hour] += step
    for metric in before.moments.keys() | after.moments.keys():
        was, now = before.moments.get(metric), after.moments.get(metric)
        if was != now:
            for moment, step in ((was, -1), (now, 1)):
                if moment is not None:
                    steps[metric, EVERY_WINDOW, moment] += step
    return steps


def _published(scope: str, level: Level, segment: tuple[str, str], key: CountKey, row: _Row) -> PublishedRow:
    metric, window, hour = key
    return rolling_row(
        scope, metric, level, segment, window_hours=window, hour=hour, delta=row.steps, version=row.included_to
    )

"""Publishes the rows of a subject (a developer, a visitor, a company) whose facts change."""

from __future__ import annotations

import msgspec

from streams.facts.activation import Activated, activations_of
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.facts.facts import NOTHING
from streams.facts.hours import Hours
from streams.messages.published_rows import Subject, activity_rows, deleted_profile_row, profile_row, segment_values
from streams.state.batch_context import BatchContext
from streams.state.rolling_counts import UNCOUNTED, CountedState, counted_state_of

_ACTIVE_METRIC = {"user": "active_developers", "company": "active_companies", "visitor": ""}


class _Derived(msgspec.Struct, frozen=True, gc=False):
    """What follows from the facts of a subject; all but `segments` is empty if it does not count."""

    segments: dict[str, str] = {}
    reached: dict[str, Activated] = {}
    counted: CountedState = UNCOUNTED
    hours: dict[str, Hours] = {}


def publish_change(context: BatchContext, before: Subject | None, after: Subject | None) -> None:
    """Publish the rows that differ between two states of one subject; None: it does not exist."""
    compiled, version, outbox = context.compiled, context.version, context.outbox
    before = before if before is not None and before.exists else None
    after = after if after is not None and after.exists else None
    if before == after:
        return
    known = after or before
    assert known is not None, "one of two different subjects exists"
    was, now = _derived(compiled, before), _derived(compiled, after)
    context.rolling.move(known.level, was.counted, now.counted)
    if known.kind != "visitor":
        for row in activity_rows(known.level, known.id, was.hours, now.hours, version):
            outbox.publish(row)
    if after is None:
        outbox.publish(deleted_profile_row(known.level, known.id, version))
        return
    outbox.publish(profile_row(compiled, after, now.reached, now.segments, version))


def _derived(compiled: CompiledDefinitions, subject: Subject | None) -> _Derived:
    """What follows from the facts of a subject, None if it does not exist."""
    if subject is None:
        return _Derived()
    facts, segments = subject.facts, segment_values(compiled, subject.facts)
    if subject.is_internal or facts == NOTHING:
        return _Derived(segments)
    reached = activations_of(compiled, subject.level, facts)
    counted = counted_state_of(compiled, subject.level, facts, reached, _ACTIVE_METRIC[subject.kind], segments)
    return _Derived(segments, reached, counted, facts.hours)

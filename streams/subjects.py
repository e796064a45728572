"""What is published of a subject (a developer, a visitor, a company) when its facts change."""

from __future__ import annotations

from streams.activation import activations_of
from streams.facts import NOTHING
from streams.hours import Hours
from streams.plan import Plan
from streams.published import Subject, activity_rows, deleted_profile_row, profile_row, segment_values
from streams.rolling import NOWHERE, Standing, standing_of
from streams.step import Step

_ACTIVE_METRIC = {"user": "active_developers", "company": "active_companies", "visitor": ""}


def publish_change(step: Step, before: Subject | None, after: Subject | None) -> None:
    """Publish the rows that differ between two states of one subject; None: there is no such subject."""
    plan, version, outbox = step.plan, step.version, step.outbox
    before = before if before is not None and before.exists else None
    after = after if after is not None and after.exists else None
    if before == after:
        return
    known = after or before
    assert known is not None, "one of two different subjects exists"
    old_standing, old_hours = _counted(plan, before)
    new_standing, new_hours = _counted(plan, after)
    step.rolling.move(known.level, old_standing, new_standing)
    if known.kind != "visitor":
        for row in activity_rows(known.level, known.id, old_hours, new_hours, version):
            outbox.publish(row)
    if after is None:
        outbox.publish(deleted_profile_row(known.level, known.id, version))
        return
    reached = {} if after.is_internal else activations_of(plan, after.level, after.facts)
    outbox.publish(profile_row(plan, after, reached, version))


def _counted(plan: Plan, subject: Subject | None) -> tuple[Standing, dict[str, Hours]]:
    """The standing and the active hours of a subject, empty if it counts for nothing."""
    if subject is None or subject.is_internal or subject.facts == NOTHING:
        return NOWHERE, {}
    facts = subject.facts
    reached = activations_of(plan, subject.level, facts)
    segments = segment_values(plan, facts)
    return standing_of(plan, subject.level, facts, reached, _ACTIVE_METRIC[subject.kind], segments), facts.hours

"""The owner of a company: the join of what its developers, keys and stamped visitors contribute."""

from __future__ import annotations

import msgspec

from streams.facts.compiled_definitions import Plan
from streams.facts.facts import NOTHING, Facts, join_all
from streams.identity import contributions
from streams.identity.contributions import absorb, children_of
from streams.identity.subjects import publish_change
from streams.messages.published_rows import Subject
from streams.messages.updates import CompanyUpdate
from streams.state.batch_context import Step
from streams.state.rows import row_key


class Company(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """State of one company: the facts of all its children. Children have rows of their own."""

    facts: Facts = NOTHING


UNKNOWN = Company()


def fold(step: Step, company: str, updates: list[CompanyUpdate]) -> None:
    """Join updates into the company and publish what is new."""
    key = row_key(b"m", company)
    before = step.rows.get(key, Company) or UNKNOWN
    words = [child for update in updates for child in update.children]
    taken, shrunk = absorb(step, company, words)
    known, parts = (NOTHING, children_of(step, company)) if shrunk else (before.facts, taken)
    after = Company(join_all([known, *(child.facts for child in parts)], step.plan.cuts))
    if after != before:
        step.rows.put(key, after)
        publish_change(step, _subject(step.plan, company, before), _subject(step.plan, company, after))


def tidy(step: Step, company: str) -> None:
    """Drop what is left of children that are gone, and the company when no one else is left."""
    left = contributions.tidy(step, company)
    key = row_key(b"m", company)
    if not left and step.rows.get(key, Company) == UNKNOWN:
        step.rows.delete(key)


def _subject(plan: Plan, company: str, state: Company) -> Subject:
    is_internal = company in plan.definitions.internal.company_ids
    return Subject("company", company, "company", state.facts, "", is_internal)

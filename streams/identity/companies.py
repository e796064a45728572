"""The owner of a company: the join of what its developers, keys and stamped visitors contribute."""

from __future__ import annotations

import msgspec

from streams.facts.compiled_definitions import CompiledDefinitions
from streams.facts.facts import NOTHING, Facts, join_all
from streams.identity import contributions
from streams.identity.contributions import apply_contributions, contributions_of
from streams.identity.subjects import publish_change
from streams.messages.published_rows import Subject
from streams.messages.updates import CompanyUpdate
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key


class Company(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """State of one company: the join of all contributions to it, which have rows of their own."""

    facts: Facts = NOTHING


UNKNOWN = Company()


def fold(context: BatchContext, company: str, updates: list[CompanyUpdate]) -> None:
    """Join updates into the company and publish what is new."""
    key = row_key(b"m", company)
    before = context.rows.get(key, Company) or UNKNOWN
    received = [contribution for update in updates for contribution in update.contributions]
    new, shrunk = apply_contributions(context, company, received)
    known, parts = (NOTHING, contributions_of(context, company)) if shrunk else (before.facts, new)
    after = Company(join_all([known, *(part.facts for part in parts)], context.compiled.cuts))
    if after != before:
        context.rows.put(key, after)
        publish_change(context, _subject(context.compiled, company, before), _subject(context.compiled, company, after))


def prune(context: BatchContext, company: str) -> None:
    """Delete withdrawn contributions, and the company if no other one is left."""
    left = contributions.prune(context, company)
    key = row_key(b"m", company)
    if not left and context.rows.get(key, Company) == UNKNOWN:
        context.rows.delete(key)


def _subject(compiled: CompiledDefinitions, company: str, state: Company) -> Subject:
    is_internal = company in compiled.definitions.internal.company_ids
    return Subject("company", company, "company", state.facts, "", is_internal)

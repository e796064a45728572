"""The contributions to a parent (a developer or a company): a row each, the latest of each contributor.

The parent's facts are their join. It is rebuilt from the rows only when a contribution shrank.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.facts.facts import NOTHING, grew
from streams.messages.updates import Contribution
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key
from streams.state.versioned_values import Freshness, put_if_newer


def contributions_of(context: BatchContext, parent: str) -> Iterable[Contribution]:
    """The latest contributions to a parent, withdrawn ones included."""
    return (contribution for _, contribution in context.rows.scan(row_key(b"c", parent), Contribution))


def prune(context: BatchContext, parent: str) -> bool:
    """Delete withdrawn contributions; returns whether any other one is left."""
    left = False
    for key, contribution in list(context.rows.scan(row_key(b"c", parent), Contribution)):
        if contribution.facts == NOTHING:
            context.rows.delete(key)
        else:
            left = True
    return left


def apply_contributions(
    context: BatchContext, parent: str, contributions: Iterable[Contribution]
) -> tuple[list[Contribution], bool]:
    """Store contributions; returns those that are new, and whether the parent's facts may have shrunk.

    If not, the parent joins the new ones; else it must be rebuilt from all `contributions_of` it.
    """
    new: list[Contribution] = []
    shrunk = False
    for one in contributions:
        freshness, known = put_if_newer(context.rows, row_key(b"c", parent, one.contributor), one)
        if freshness is Freshness.NEWER:
            new.append(one)
            if known is not None and known.facts != NOTHING:
                same_company = known.company == one.company
                shrunk = shrunk or not (same_company and grew(known.facts, one.facts, context.compiled.cuts))
        elif freshness is Freshness.SAME:
            # An interrupted batch may have stored it and not joined it.
            shrunk = True
    return new, shrunk

"""What a parent keeps of its children: the latest word of each. The join of it all is rebuilt only when something shrank."""

from __future__ import annotations

from collections.abc import Iterable

from streams.facts.facts import NOTHING, grew
from streams.messages.updates import Contribution
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key
from streams.state.versioned_values import Freshness, put_if_newer


def contribution_key(parent: str, child: str) -> bytes:
    """The row of one child of a parent."""
    return row_key(b"c", parent, child)


def contributions_of(context: BatchContext, parent: str) -> Iterable[Contribution]:
    """The latest word of all children, those that withdrew among them."""
    return (child for _, child in context.rows.scan(row_key(b"c", parent), Contribution))


def tidy(context: BatchContext, parent: str) -> bool:
    """Drop the rows of children that withdrew; returns whether any child is left."""
    left = False
    for key, child in list(context.rows.scan(row_key(b"c", parent), Contribution)):
        if child.facts == NOTHING:
            context.rows.delete(key)
        else:
            left = True
    return left


def apply_contributions(
    context: BatchContext, parent: str, words: Iterable[Contribution]
) -> tuple[list[Contribution], bool]:
    """Take in what children say; returns the words that were new, and whether anything shrank.

    If nothing did, the parent's facts are joined with those of the words; else they are to be built anew from those of all
    `contributions_of` it.
    """
    taken: list[Contribution] = []
    shrunk = False
    for word in words:
        heard, known = put_if_newer(context.rows, contribution_key(parent, word.child), word)
        if heard is Freshness.NEWER:
            taken.append(word)
            if known is not None and known.facts != NOTHING:
                shrunk = (
                    shrunk or known.company != word.company or not grew(known.facts, word.facts, context.compiled.cuts)
                )
        elif heard is Freshness.SAME:
            # The parent's facts may not have it yet.
            shrunk = True
    return taken, shrunk

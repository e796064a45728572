"""What a parent keeps of its children: the latest word of each. The join of it all is rebuilt only when something shrank."""

from __future__ import annotations

from collections.abc import Iterable

from streams.facts.facts import NOTHING, grew
from streams.messages.updates import Child
from streams.state.batch_context import Step
from streams.state.rows import row_key
from streams.state.versioned_values import Heard, take


def child_key(parent: str, child: str) -> bytes:
    """The row of one child of a parent."""
    return row_key(b"c", parent, child)


def children_of(step: Step, parent: str) -> Iterable[Child]:
    """The latest word of all children, those that withdrew among them."""
    return (child for _, child in step.rows.scan(row_key(b"c", parent), Child))


def tidy(step: Step, parent: str) -> bool:
    """Drop the rows of children that withdrew; returns whether any child is left."""
    left = False
    for key, child in list(step.rows.scan(row_key(b"c", parent), Child)):
        if child.facts == NOTHING:
            step.rows.delete(key)
        else:
            left = True
    return left


def absorb(step: Step, parent: str, words: Iterable[Child]) -> tuple[list[Child], bool]:
    """Take in what children say; returns the words that were new, and whether anything shrank.

    If nothing did, the parent's facts are joined with those of the words; else they are to be built anew from those of all
    `children_of` it.
    """
    taken: list[Child] = []
    shrunk = False
    for word in words:
        heard, known = take(step.rows, child_key(parent, word.child), word)
        if heard is Heard.NEW:
            taken.append(word)
            if known is not None and known.facts != NOTHING:
                shrunk = shrunk or known.company != word.company or not grew(known.facts, word.facts, step.plan.cuts)
        elif heard is Heard.AGAIN:
            # The parent's facts may not have it yet.
            shrunk = True
    return taken, shrunk

"""What a parent keeps of its children: their latest word, and the join of it all, rebuilt only when something shrank."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from streams.facts import NOTHING, Facts, grew, join
from streams.rows import row_key
from streams.step import Step
from streams.updates import Child


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


def absorb(
    step: Step,
    parent: str,
    pooled: dict[str, Facts],
    words: Iterable[Child],
    own: Callable[[], dict[str, Facts]],
) -> tuple[dict[str, Facts], list[Child]]:
    """Take in what children say; returns the facts by company, and the words that were new.

    An older version than the known one is an old truth and is dropped. `pooled`: the facts by company so far (returned
    as is where nothing changed). `own`: the parent's own facts by company, read only when facts shrank.
    """
    shrunk: set[str] = set()
    taken: list[Child] = []
    joined = pooled
    for word in words:
        key = child_key(parent, word.child)
        known = step.rows.get(key, Child)
        if known is not None and known.version >= word.version:
            if known.version == word.version:
                # Written by a batch that was interrupted: the pooled facts may not have it yet.
                shrunk.add(word.company)
            continue
        step.rows.put(key, word)
        taken.append(word)
        before = known.facts if known else NOTHING
        if known and known.company != word.company and before != NOTHING:
            shrunk.add(known.company)
        elif not grew(before, word.facts, step.plan.cuts):
            shrunk.add(word.company)
        if word.facts != NOTHING:
            facts = join(joined.get(word.company, NOTHING), word.facts, step.plan.cuts)
            if facts is not joined.get(word.company):
                joined = {**joined, word.company: facts}
    if shrunk:
        rebuilt = own()
        for child in children_of(step, parent):
            if child.facts != NOTHING:
                rebuilt[child.company] = join(rebuilt.get(child.company, NOTHING), child.facts, step.plan.cuts)
        joined = rebuilt
    return joined, taken

"""What users say of whether they are internal, to their API keys and to the users merged into them: a row for each who said so.

One that owns them no more may come to own them again, and a word of it may come late: so the latest word of each is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.messages.updates import InternalFlag
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key
from streams.state.versioned_values import Freshness, put_if_newer


def heard(context: BatchContext, owner: str, words: Iterable[InternalFlag]) -> bool:
    """Take in what an owner is told; returns whether something follows from it, maybe once more."""
    heard = [put_if_newer(context.rows, row_key(b"i", owner, word.user), word)[0] for word in words]
    return any(each is not Freshness.STALE for each in heard)


def is_internal(context: BatchContext, owner: str, user: str) -> bool:
    """Whether the user has told the owner that he is internal."""
    word = context.rows.get(row_key(b"i", owner, user), InternalFlag)
    return word is not None and word.internal


def forget(context: BatchContext, owner: str, *, but: str = "") -> None:
    """Drop what the owner was told by all but one."""
    for key, word in list(context.rows.scan(row_key(b"i", owner), InternalFlag)):
        if word.user != but:
            context.rows.delete(key)

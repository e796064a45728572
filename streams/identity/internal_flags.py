"""Which users are internal, as known to their API keys and to the users merged into them.

An owner (a key or a merged user) keeps the latest flag of every user that ever sent it one. A user that no longer owns it
may own it again, and flags may arrive late.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.messages.updates import InternalFlag
from streams.state.batch_context import BatchContext
from streams.state.rows import row_key
from streams.state.versioned_values import Freshness, put_if_newer


def receive(context: BatchContext, owner: str, flags: Iterable[InternalFlag]) -> bool:
    """Store flags; returns whether what follows from them must be derived, maybe again."""
    received = [put_if_newer(context.rows, row_key(b"i", owner, flag.user), flag)[0] for flag in flags]
    return any(freshness is not Freshness.STALE for freshness in received)


def is_internal(context: BatchContext, owner: str, user: str) -> bool:
    """Whether the user is internal, as far as the owner knows."""
    flag = context.rows.get(row_key(b"i", owner, user), InternalFlag)
    return flag is not None and flag.internal


def drop(context: BatchContext, owner: str, *, but: str = "") -> None:
    """Delete the flags of all users but one."""
    for key, flag in list(context.rows.scan(row_key(b"i", owner), InternalFlag)):
        if flag.user != but:
            context.rows.delete(key)

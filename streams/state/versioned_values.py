"""Versioned values in rows of their own. Of two under one key the higher version holds.

They may arrive in any order and any number of times.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol, TypeVar

from streams.state.rows import Rows


class VersionedValue(Protocol):
    """A row with a version."""

    @property
    def version(self) -> int:
        """Higher for the later of two values under one key."""


class Freshness(Enum):
    """How a received value compares with the stored one: `NEWER` replaces it, `STALE` is ignored.

    `SAME`: the value is stored already. An interrupted batch may have written it and nothing that follows from it, so what
    follows must be done again.
    """

    NEWER = auto()
    SAME = auto()
    STALE = auto()


V = TypeVar("V", bound=VersionedValue)


def put_if_newer(rows: Rows, key: bytes, value: V) -> tuple[Freshness, V | None]:
    """Store a value unless a newer one is there; returns how it compares with the stored one, and the stored one."""
    known = rows.get(key, type(value))
    if known is None or value.version > known.version:
        rows.put(key, value)
        return Freshness.NEWER, known
    return (Freshness.SAME if value.version == known.version else Freshness.STALE), known

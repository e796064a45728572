"""The latest value of each of those who tell an owner something. Words come in any order and any number of times; a version says which is later."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol, TypeVar

from streams.state.rows import Rows


class VersionedValue(Protocol):
    """What somebody says, in a row of its own."""

    @property
    def version(self) -> int:
        """Of two words of one, the higher is the later."""


class Freshness(Enum):
    """How a value stands to what is known: `NEWER` replaces it, `STALE` is an old truth and is dropped.

    `SAME`: that very value is known. A batch that was interrupted may have written it and no more, so what follows from it is to
    be done again.
    """

    NEWER = auto()
    SAME = auto()
    STALE = auto()


V = TypeVar("V", bound=VersionedValue)


def put_if_newer(rows: Rows, key: bytes, value: V) -> tuple[Freshness, V | None]:
    """Keep a value under a key unless a later one is there; returns how it stands to the one that was there, and that one."""
    known = rows.get(key, type(value))
    if known is None or value.version > known.version:
        rows.put(key, value)
        return Freshness.NEWER, known
    return (Freshness.SAME if value.version == known.version else Freshness.STALE), known

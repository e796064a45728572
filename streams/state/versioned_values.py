"""The latest word of each of those who tell an owner something. Words come in any order and any number of times; a version says which is later."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol, TypeVar

from streams.state.rows import Rows


class Word(Protocol):
    """What somebody says, in a row of its own."""

    @property
    def version(self) -> int:
        """Of two words of one, the higher is the later."""


class Heard(Enum):
    """How a word stands to what is known: `NEW` replaces it, `OLD` is an old truth and is dropped.

    `AGAIN`: that very word is known. A batch that was interrupted may have written it and no more, so what follows from it is to
    be done again.
    """

    NEW = auto()
    AGAIN = auto()
    OLD = auto()


W = TypeVar("W", bound=Word)


def take(rows: Rows, key: bytes, word: W) -> tuple[Heard, W | None]:
    """Keep a word under a key unless a later one is there; returns how it stands to the one that was there, and that one."""
    known = rows.get(key, type(word))
    if known is None or word.version > known.version:
        rows.put(key, word)
        return Heard.NEW, known
    return (Heard.AGAIN if word.version == known.version else Heard.OLD), known

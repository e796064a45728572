"""One thing that is wrong with a configuration: the field, what is wrong, what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

#: So many letters that begin a single name stand for it: prod, dev.
_BEGINNING: Final = 3


@dataclass(frozen=True)
class Problem:
    """`way`: the keys and positions that lead to the field. `place`: what to point at, if that is another one.

    `names`: the section that a name was looked up in, where it is missing there.
    """

    way: tuple[str, ...]
    what: str
    place: tuple[str, ...] | None = None
    names: str = ""

    @property
    def field(self) -> str:
        """The way as people write it: stages.docs.selector, activations.x.all[0]."""
        text = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in self.way)
        return text.removeprefix(".")


def meant(wrong: str, known: Iterable[str]) -> str:
    """The end of a message: the nearest known name, else all of them."""
    names = sorted(dict.fromkeys(known))
    if not names:
        return "; there are none"
    folded = {name.casefold(): name for name in reversed(names)}
    begun = [name for name in folded if len(wrong) >= _BEGINNING and name.startswith(wrong.casefold())]
    near = begun if len(begun) == 1 else get_close_matches(wrong.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else f"; there are {', '.join(names)}"

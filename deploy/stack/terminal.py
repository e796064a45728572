"""The console of all commands: it shows texts as they are, whatever rows hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

#: What a terminal acts on instead of showing it. Rows hold what anyone may have sent.
_ACTED_ON: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Terminal(Console):
    """A console that escapes control characters as Python does, so that no text can act on the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments to print: their styles are Firstcall's, their texts are just texts."""
        for segment in super().render(renderable, options):
            if segment.control or not _ACTED_ON.search(segment.text):
                yield segment
            else:
                text = _ACTED_ON.sub(lambda found: found[0].encode("unicode_escape").decode(), segment.text)
                yield Segment(text, segment.style)

    def plain(self, text: str, style: str | None = None) -> None:
        """Print a text as it is: without markup or highlights, broken only by the terminal."""
        self.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def done(self, text: str) -> None:
        """Print a text after a check mark."""
        self.print("[green]✓[/]", end=" ")
        self.plain(text)

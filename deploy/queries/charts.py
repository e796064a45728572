"""Answers drawn in a terminal: a row of bars for each row of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from deploy.queries.cells import told
from schemas.errors import ConfigurationError

Kind = Literal["bar", "line"]

#: So many characters wide are all bars of a row together.
WIDTH: Final = 60


@dataclass(frozen=True)
class Chart:
    """What to draw of an answer. A `line` runs over time, so it is what a terminal shows by itself; `bar` compares."""

    kind: Kind
    label: str
    numbers: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Chart:
        """A chart as `line week_end active_tokens active_developers`. Raises ConfigurationError."""
        kind, *columns = text.split()
        if kind not in get_args(Kind) or len(columns) < 2:
            raise ConfigurationError(
                f"{text!r} is no chart: give `bar` or `line`, the column of labels, and those of numbers"
            )
        return cls(cast("Kind", kind), columns[0], tuple(columns[1:]))

    @classmethod
    def of_any(cls, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Chart | None:
        """The chart of an answer that nothing is said of: its numbers by its first column; None if it has none."""
        numbers = [name for place, name in enumerate(columns) if place and any(_is_number(row[place]) for row in rows)]
        return cls("bar", columns[0], tuple(numbers[:3])) if numbers else None

    def drawn(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
        """The chart. Each column of numbers has a scale of its own, from 0 to its largest.

        Beside the label stand the columns before it that tell rows apart, as level and value of a segment.
        """
        table = Table(box=None, padding=(0, 1), header_style="bold")
        label = columns.index(self.label)
        labels = [at for at in range(label) if len({row[at] for row in rows}) > 1]
        labels = [at for at in labels if not any(_is_number(row[at]) for row in rows)] + [label]
        for at in labels:
            table.add_column(columns[at].replace("_", " "), no_wrap=at == label)
        places = [columns.index(name) for name in self.numbers]
        for name in self.numbers:
            table.add_column(name.replace("_", " "), justify="right")
            table.add_column("")
        scales = [max((float(row[place]) for row in rows if _is_number(row[place])), default=0.0) for place in places]
        words = {at: told([row[at] for row in rows]) for at in (*labels, *places)}
        for number, row in enumerate(rows):
            cells: list[Any] = [Text(words[at][number]) for at in labels]
            for place, scale in zip(places, scales, strict=True):
                length = float(row[place]) if _is_number(row[place]) else 0.0
                cells += [words[place][number], Bar(scale or 1.0, 0, max(length, 0.0), width=WIDTH // len(places))]
            table.add_row(*cells)
        return table


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

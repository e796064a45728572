"""Answers drawn in a terminal: a row of bars for each row of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from deploy.queries.cells import texts
from schemas.sql.named_queries import Chart

#: Width of all bars of a row together, in characters.
WIDTH: Final = 60


def default_chart(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Chart | None:
    """The chart of an answer without a configured one: its first numbers by its first column; None without numbers."""
    numbers = [name for place, name in enumerate(columns) if place and any(_is_number(row[place]) for row in rows)]
    return Chart(kind="bar", label=columns[0], numbers=tuple(numbers[:3])) if numbers else None


def draw(chart: Chart, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """The drawn chart. Each column of numbers has a scale of its own, from 0 to its largest.

    Beside the label stand the columns before it that distinguish rows, as level and value of a segment.
    """
    table = Table(box=None, padding=(0, 1), header_style="bold")
    label = columns.index(chart.label)
    labels = [at for at in range(label) if len({row[at] for row in rows}) > 1]
    labels = [at for at in labels if not any(_is_number(row[at]) for row in rows)] + [label]
    for at in labels:
        table.add_column(columns[at].replace("_", " "), no_wrap=at == label)
    places = [columns.index(name) for name in chart.numbers]
    for name in chart.numbers:
        table.add_column(name.replace("_", " "), justify="right")
        table.add_column("")
    scales = [max((float(row[place]) for row in rows if _is_number(row[place])), default=0.0) for place in places]
    shown = {at: texts([row[at] for row in rows]) for at in (*labels, *places)}
    for number, row in enumerate(rows):
        cells: list[Any] = [Text(shown[at][number]) for at in labels]
        for place, scale in zip(places, scales, strict=True):
            length = float(row[place]) if _is_number(row[place]) else 0.0
            cells += [shown[place][number], Bar(scale or 1.0, 0, max(length, 0.0), width=WIDTH // len(places))]
        table.add_row(*cells)
    return table


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Answers of queries in a terminal: as a table, as records where a table would not fit, or as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.queries.catalog import Answer
from schemas.sql.named_queries import Chart

#: A single row of more columns is shown as a record: side by side they would be a few letters wide.
RECORD_COLUMNS: Final = 10
#: Longer words may be broken, as ids without a blank.
LONGEST_WORD: Final = 16
#: Characters of a frame: for each column, and once for the table.
_FRAME_EACH, _FRAME_ONCE = 3, 1
#: Width of all bars of a row together, in characters.
WIDTH: Final = 60
#: A smaller number, as a probability, is shown by its leading digits: four decimals would round it to 0.
LEAST: Final = 0.001


class _Column(NamedTuple):
    """A column as texts. `least` and `most`: the widths that it needs and that it can use."""

    title: str
    texts: list[str]
    is_number: bool
    least: int
    most: int


def show(console: Console, answer: Answer, title: str = "", chart: Chart | None = None) -> None:
    if not answer.rows:
        console.print(f"{title}: nothing yet" if title else "No rows")
        return
    if chart is not None:
        console.print(draw(chart, answer.columns, answer.rows))
        return
    columns = _columns(answer)
    room = console.width - _FRAME_ONCE - _FRAME_EACH * len(columns)
    one_long = len(answer.rows) == 1 and len(columns) > RECORD_COLUMNS
    if one_long or sum(column.least for column in columns) > room:
        console.print(_records(columns, title))
    else:
        console.print(_table(columns, title, room))


def _table(columns: Sequence[_Column], title: str, room: int) -> Table:
    shown = _framed(title, show_header=True)
    for column, width in zip(columns, _widths(columns, room), strict=True):
        shown.add_column(
            Text(column.title), justify="right" if column.is_number else "left", overflow="fold", width=width
        )
    for row in zip(*(column.texts for column in columns), strict=True):
        shown.add_row(*map(Text, row))
    return shown


def _records(columns: Sequence[_Column], title: str) -> Table:
    """A column a line, row by row."""
    shown = _framed(title, show_header=False)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    for row in zip(*(column.texts for column in columns), strict=True):
        for column, text in zip(columns, row, strict=True):
            shown.add_row(Text(column.title), Text(text))
        shown.add_section()
    return shown


def _framed(title: str, *, show_header: bool) -> Table:
    return Table(
        title=title or None, title_justify="left", title_style="bold", header_style="bold", show_header=show_header
    )


def _columns(answer: Answer) -> list[_Column]:
    """The columns that are not empty texts in all rows."""
    found = []
    for place, name in enumerate(answer.columns):
        values = [row[place] for row in answer.rows]
        if any(value != "" for value in values):
            found.append(_column(name.replace("_", " "), values))
    return found


def _column(title: str, values: Sequence[Any]) -> _Column:
    shown = texts(values)
    is_number = any(isinstance(value, int | float) for value in values)
    longest = max(map(len, shown))
    # Neither numbers nor times are broken.
    unbroken = is_number or any(isinstance(value, date) for value in values)
    least = longest if unbroken else min(LONGEST_WORD, max(map(_longest_word, shown)))
    return _Column(title, shown, is_number, max(least, _longest_word(title)), max(longest, len(title)))


def _widths(columns: Sequence[_Column], room: int) -> list[int]:
    """The width of each column: as much as it can use, less what is too much, taken where most can be spared."""
    widths = [column.most for column in columns]
    while sum(widths) > room:
        spare = [width - column.least for width, column in zip(widths, columns, strict=True)]
        widths[spare.index(max(spare))] -= 1
    return widths


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


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


def texts(values: Sequence[Any]) -> list[str]:
    """The values of a column. Times are as exact as the column: days if all are midnights, minutes without seconds."""
    times = [value for value in values if isinstance(value, datetime)]
    precision = "seconds"
    if times and not any(time.second for time in times):
        precision = "minutes" if any(time.hour or time.minute for time in times) else "days"
    return [_text(value, precision) for value in values]


def _text(value: Any, precision: str = "seconds") -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if 0 < abs(value) < LEAST:
            return f"{value:.2g}"
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        plain = value.replace(tzinfo=None)
        return f"{plain:%Y-%m-%d}" if precision == "days" else plain.isoformat(sep=" ", timespec=precision)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(part) for part in value)
    return str(value)

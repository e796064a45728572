"""Answers of queries as a terminal shows them: nothing is broken that a person reads as one."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.queries.answers import show
from deploy.queries.catalog import Answer
from deploy.stack.terminal import Terminal
from schemas.sql.named_queries import Chart

MIDNIGHT = datetime(2026, 5, 4, tzinfo=UTC)


def lines(columns: str, *rows: tuple[Any, ...], width: int = 80, chart: Chart | None = None) -> list[str]:
    """What is printed of an answer."""
    out = io.StringIO()
    show(Terminal(file=out, width=width), Answer(tuple(columns.split()), rows), chart=chart)
    return out.getvalue().splitlines()


def cells(line: str) -> list[str]:
    return [part.strip() for part in line.replace("┃", "│").split("│")[1:-1]]


def test_one_row_of_many_columns_is_shown_as_a_record_without_what_is_empty() -> None:
    columns = " ".join(f"calls_{number}" for number in range(12))
    shown = lines(columns, (*range(11), ""))[1:-1]
    assert [cells(line) for line in shown] == [[f"calls {number}", str(number)] for number in range(11)]


def test_rows_that_do_not_fit_beside_each_other_are_records() -> None:
    columns = " ".join(f"calls_{number}" for number in range(12))
    shown = lines(columns, tuple(range(1_000_000, 1_000_012)), tuple(range(12)))
    assert [cells(line) for line in shown if line.startswith("│")] == [
        [f"calls {number}", f"{value:,}"]
        for row in (range(1_000_000, 1_000_012), range(12))
        for number, value in enumerate(row)
    ]
    assert len(lines(columns, tuple(range(12)), tuple(range(12)), width=150)) < 10


def test_neither_numbers_nor_times_nor_words_of_a_title_are_broken() -> None:
    """The long ids give way, as long as there is room for all else."""
    time = MIDNIGHT + timedelta(hours=10, minutes=7, seconds=3)
    shown = lines("developer last_active calls_of_developer", ("anonymous_id:" + "0" * 60, time, 1_234_567), width=60)
    assert any("2026-05-04 10:07:03" in line and "1,234,567" in line for line in shown)
    header = [cells(line) for line in shown if "┃" in line]
    assert {word for cell in header for words in cell for word in words.split()} == {
        "developer",
        "last",
        "active",
        "calls",
        "of",
    }


def test_what_is_improbable_is_not_shown_as_impossible_and_titles_are_no_markup() -> None:
    shown = lines("alert chance[red] [/x]", ("a", 3.1e-7, 0.0), ("b", 0.25, -0.00001))
    assert "chance[red]" in shown[1]
    assert "[/x]" in shown[1]
    assert [cells(line) for line in shown[3:5]] == [["a", "3.1e-07", "0"], ["b", "0.25", "-1e-05"]]


def test_times_are_as_exact_as_their_column() -> None:
    days = [(MIDNIGHT,), (MIDNIGHT + timedelta(days=7),)]
    assert [cells(line) for line in lines("week", *days) if "2026" in line] == [["2026-05-04"], ["2026-05-11"]]
    hours = [(MIDNIGHT,), (MIDNIGHT + timedelta(hours=7),)]
    assert [cells(line) for line in lines("hour", *hours) if "2026" in line] == [
        ["2026-05-04 00:00"],
        ["2026-05-04 07:00"],
    ]
    assert "2026-05-04 00:00:01" in "".join(lines("at", (MIDNIGHT + timedelta(seconds=1),)))


def test_a_chart_labels_its_rows() -> None:
    chart = Chart(kind="bar", label="week", numbers=("calls",))
    rows = [("developer", "", MIDNIGHT, 3), ("company", "", MIDNIGHT, 2)]
    shown = lines("level segment week calls", *rows, chart=chart)
    assert [line.split()[:3] for line in shown[1:]] == [
        ["developer", "2026-05-04", "3"],
        ["company", "2026-05-04", "2"],
    ]
    alone = lines("level segment week calls", rows[0], chart=chart)
    assert alone[1].split()[:2] == ["2026-05-04", "3"]

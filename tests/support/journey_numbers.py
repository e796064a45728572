"""Compares the views and named queries of journeys with the reference, cell by cell: from the first visit to weekly use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from clickhouse_connect.driver import Client

from deploy.queries import catalog
from schemas.config.definitions import Definitions, Level
from tests.support.reference import Published, journeys, signups, weeks
from tests.support.reference.subjects import LEVELS, Asked, Row, Subject, latest, subjects

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Queries round to two decimals.
ROUNDED: Final = 0.005 + 1e-9
#: Differences that are shown of one question, and rows that are asked for.
SHOWN, MANY = 5, 10_000_000

_Given = dict[str, str]
_Expected = Callable[[Asked, _Given], list[Row]]


def journeys_differences(
    client: Client, published: Published, definitions: Definitions, ways: int | None = None
) -> list[str]:
    """Differences from the reference, a few lines for each question. The database must know the definitions.

    `ways`: in how many ways each query is asked; None for all.
    """
    found = subjects(published)
    lines = view_differences(client, found, definitions)
    at = latest(published)
    if at is None:
        return lines
    for name, expected in _questions(published, found, definitions).items():
        for asked, given in list(_ways(found, at))[:ways]:
            lines += _answer_differences(client, name, asked, given, expected)
    return lines


def view_differences(client: Client, found: list[Subject], definitions: Definitions) -> list[str]:
    """The same of the rows under the numbers."""
    lines = []
    for view, expected in (
        ("stage_entries", list(journeys.stage_entries(found, definitions))),
        ("signups", list(signups.signups(found))),
        ("activation_candidates", list(signups.activation_candidates(found, definitions))),
        ("weekly_use", weeks.weekly_use(found)),
    ):
        columns = ", ".join(expected[0]) if expected else "*"
        actual = rows_of(client, f"SELECT {columns} FROM {view}")
        lines += _differing(f"view {view}", _in_order(expected), _in_order(actual))
    return lines


def _in_order(rows: list[Row]) -> list[Row]:
    keys = ("level", "subject_id", "stage", "definition", "week")
    return sorted(rows, key=lambda row: [str(row.get(key, "")) for key in keys])


def _ways(found: list[Subject], at: int) -> Iterator[tuple[Asked, _Given]]:
    """What is asked: all, as of earlier, of a period, by a segment, of one value, of one company, and what single queries know."""
    begin = min((subject.first_seen for subject in found), default=at)
    quarter, half = begin + (at - begin) // 4, (begin + at) // 2
    period = {"from": moment(quarter), "to": moment(half)}
    company = max((subject.company for subject in found), default="")
    yield Asked(at), {}
    yield Asked(half, segment="technology"), {"segment": "technology", "at": moment(half)}
    yield Asked(at, quarter, half), period
    yield Asked(half), {"at": moment(half)}
    yield Asked(at, segment="technology"), {"segment": "technology"}
    yield Asked(half, segment="medium", value="cpc"), {"segment": "medium", "value": "cpc", "at": moment(half)}
    yield Asked(at, company=company), {"company": company}
    yield Asked(at, quarter, half), {"starting": "signup", **period}
    yield Asked(at), {"by": "week"}
    yield Asked(at), {"hours": "48.5"}


def _answer_differences(client: Client, name: str, asked: Asked, given: _Given, expected: _Expected) -> list[str]:
    query = catalog.find_query(name)
    known = query.parameters.keys()
    if not given.keys() <= known:
        return []
    lines = []
    for level in LEVELS if "level" in known else ("developer",):
        also = {key: value for key, value in (("level", level), ("limit", str(MANY))) if key in known}
        values = catalog.bind(query, {**given, **also})
        lines += _differing(f"query {name} {given | also}", expected(asked, values), rows_of(client, query.sql, values))
    return lines


def _questions(published: Published, found: list[Subject], definitions: Definitions) -> dict[str, _Expected]:
    return {
        "funnel": lambda asked, given: journeys.funnel(found, definitions, asked, _level(given), given["starting"]),
        "stuck": lambda asked, given: journeys.stuck(
            found, definitions, asked, _level(given), float(given["hours"]), MANY
        ),
        "stuck-stages": lambda asked, given: journeys.stuck_stages(found, definitions, asked, _level(given)),
        "ttfc": lambda asked, given: signups.ttfc(
            found, asked, given["level"], "week" if given["by"] == "week" else "all"
        ),
        "activation": lambda asked, given: signups.activation(found, definitions, asked, given["level"]),
        "cohorts": lambda asked, given: weeks.cohorts(found, asked, _level(given)),
        "cohort-activation": lambda asked, given: weeks.cohort_activation(found, definitions, asked, _level(given)),
        "active": lambda asked, _: weeks.active(published, asked),
        "paying": lambda asked, given: weeks.paying(published, found, asked, given["level"]),
        "kpis": lambda asked, given: weeks.kpis(found, definitions, asked, _level(given)),
    }


def _level(given: _Given) -> Level:
    return "company" if given["level"] == "company" else "developer"


def rows_of(client: Client, sql: str, values: _Given | None = None) -> list[Row]:
    """The rows of an answer, their times and days in ms."""
    answer = catalog.ask(client, sql, values or {})
    return [{name: _plain(value) for name, value in zip(answer.columns, row, strict=True)} for row in answer.rows]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, date):
        return (value - EPOCH.date()) // timedelta(milliseconds=1)
    return bool(value) if isinstance(value, bool) else value


def moment(time: int) -> str:
    """A time as a parameter."""
    return (EPOCH + timedelta(milliseconds=time)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _differing(what: str, expected: list[Row], actual: list[Row]) -> list[str]:
    if len(expected) != len(actual):
        return [f"{what}: expected {len(expected)} rows, not {len(actual)}"]
    lines = []
    for place, (wanted, row) in enumerate(zip(expected, actual, strict=True)):
        if list(wanted) != list(row):
            return [f"{what}: expected columns {list(wanted)}, not {list(row)}"]
        lines += [
            f"{what}: row {place}, {column}: expected {value!r}, not {row[column]!r}, in {row}"
            for column, value in wanted.items()
            if not _equal(value, row[column])
        ]
    return lines[:SHOWN]


def _equal(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, float) and isinstance(found, float | int):
        return abs(wanted - found) <= ROUNDED
    return bool(wanted == found)

"""The named queries of `schemas/sql/queries`: found, given their parameters, and run.

A query's file opens with comments: first what it tells, then a line for each parameter, `-- name = default: meaning`, and for each
column of the answer, `--   name: meaning`, and what else there is to say: `-- topic: accounts` (where it is listed), `-- chart: line day calls` (what is drawn: kind, the column of the labels,
those of the numbers), `-- needs: company or developer` (of which parameters one must be given; `either company or developer`: just one), `-- names: definition of churn_risks` (what a parameter
names, where `query_names.KINDS` does not say it). A meaning that begins with values, as
`developer or company`, names all there are beside the default. Parameters are ClickHouse's own, `{name:Type}`, and are sent beside the
text, never put into it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, Literal

from clickhouse_connect.driver.client import Client

from deploy.queries.charts import Chart
from schemas.config.problems import meant

#: Of a query that names none.
OTHER_TOPIC: Final = "other"

_PARAMETER = re.compile(r"^-- (\w+) = (.*?): (.+)$")
_COLUMN = re.compile(r"^--   (\w+): (.+)$")
_CHOICES = re.compile(r"\w+(?:, \w+)*,? or \w+(?=$|;|: | \()")
_DIGITS = re.compile(r"[0-9]{1,20}")
_FLOAT = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_EITHER = "either "
_REMARK = re.compile(r"^-- (topic|chart|needs|names): (.+)$")
_CLICKHOUSE_FORMATS = {"csv": "CSVWithNames", "json": "JSONEachRow"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a query, by default an empty text where the meaning says so."""

    name: str
    default: str
    meaning: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it may have, the default among them; none if any will do."""
        named = _CHOICES.match(self.meaning)
        return tuple(dict.fromkeys((*re.split(r",? or |, ", named[0]), self.default))) if named else ()


@dataclass(frozen=True)
class Query:
    """A named query: what it tells, its SQL, its parameters, its columns with their meaning. `needs`: of which of these at least one must be given.

    `needs_one`: not more than one of these. `names`: what parameters name, see `query_names`.
    """

    name: str
    title: str
    sql: str
    parameters: tuple[Parameter, ...]
    topic: str = OTHER_TOPIC
    chart: Chart | None = None
    needs: tuple[str, ...] = ()
    needs_one: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unknown:
    """A query or parameter that does not exist or is missing, and what was probably meant."""

    message: str


@dataclass(frozen=True)
class Answer:
    """The rows of a query, with the names of their columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def named_queries() -> dict[str, Query]:
    """All shipped queries by name, in alphabetic order."""
    found = {}
    for file in sorted(files("schemas").joinpath("sql", "queries").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            name = file.name.removesuffix(".sql")
            found[name] = read_query(name, file.read_text("utf-8"))
    return found


def read_query(name: str, sql: str) -> Query:
    """The query of a file."""
    title: list[str] = []
    parameters = []
    columns: dict[str, str] = {}
    remarks: dict[str, str] = {}
    for line in sql.splitlines():
        if not line.startswith("-- "):
            break
        if parameter := _PARAMETER.match(line):
            parameters.append(Parameter(*parameter.groups()))
        elif column := _COLUMN.match(line):
            columns[column[1]] = column[2]
        elif remark := _REMARK.match(line):
            remarks[remark[1]] = remark[2].strip()
        else:
            title.append(line.removeprefix("-- ").strip())
    return Query(
        name,
        " ".join(title),
        sql,
        tuple(parameters),
        remarks.get("topic", OTHER_TOPIC),
        Chart.parse(remarks["chart"]) if "chart" in remarks else None,
        tuple(remarks["needs"].removeprefix(_EITHER).split(" or ")) if "needs" in remarks else (),
        remarks.get("needs", "").startswith(_EITHER),
        dict(_named(each) for each in remarks["names"].split(", ")) if "names" in remarks else {},
        columns,
    )


def _named(remark: str) -> tuple[str, str]:
    parameter, _, kind = remark.partition(" of ")
    return parameter, kind


def find_query(name: str) -> Query | Unknown:
    """The query of a name."""
    queries = named_queries()
    if name in queries:
        return queries[name]
    return Unknown(f"no query named {name!r}{meant(name, queries)}")


def bind(query: Query, given: Mapping[str, str]) -> dict[str, str] | Unknown:
    """Values for all parameters: the given ones, else the defaults of the file."""
    known = {parameter.name: parameter for parameter in query.parameters}
    for name, value in given.items():
        if name not in known:
            return Unknown(f"query {query.name} has no parameter {name!r}{meant(name, known)}")
        choices = known[name].choices
        if choices and value not in choices:
            return Unknown(f"{name} of query {query.name} cannot be {value!r}{meant(value, filter(None, choices))}")
        if expected := _no_number(query.sql, name, value):
            return Unknown(f"{name} of query {query.name} cannot be {value!r}: it must be {expected}")
    return {**{name: parameter.default for name, parameter in known.items()}, **given}


def missing(query: Query, values: Mapping[str, str]) -> Unknown | None:
    """What must be given and is not, or is given and excludes another, or None."""
    given = [name for name in query.needs if values[name]]
    if query.needs_one and len(given) > 1:
        return Unknown(f"query {query.name} takes either {' or '.join(given)}, not both")
    if query.needs and not given:
        return Unknown(f"query {query.name} needs {' or '.join(query.needs)}, as in -p {query.needs[0]}=...")
    for by in ("segment", "segments"):
        if values.get("value") and not values.get(by, "given"):
            return Unknown(
                f"value of query {query.name} is that of a segment, which is not named, as in -p {by}=technology"
            )
    return None


def _no_number(sql: str, name: str, value: str) -> str:
    """What a parameter that is a number in the SQL must be, if the value is not; else an empty text."""
    if f"{{{name}:Float64}}" in sql:
        return "" if _FLOAT.fullmatch(value) else "a number"
    if whole := re.search(rf"\{{{name}:UInt(\d+)\}}", sql):
        most = 2 ** int(whole[1]) - 1
        return "" if _DIGITS.fullmatch(value) and int(value) <= most else f"a whole number up to {most:,}"
    return ""


def ask(client: Client, sql: str, parameters: Mapping[str, str]) -> Answer:
    """Run a query and fetch all of its rows."""
    result = client.query(sql, parameters=dict(parameters))
    return Answer(tuple(result.column_names), tuple(tuple(row) for row in result.result_rows))


def ask_text(client: Client, sql: str, parameters: Mapping[str, str], form: Literal["csv", "json"]) -> bytes:
    """Run a query and fetch its answer as ClickHouse itself writes it."""
    return client.raw_query(sql, parameters=dict(parameters), fmt=_CLICKHOUSE_FORMATS[form])

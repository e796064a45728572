"""The named queries of `schemas/sql/queries`: found, given their parameters, run and shown.

A query's file opens with comments: first what it tells, then a line for each parameter, `-- name = default: meaning`. Parameters
are ClickHouse's own, `{name:Type}`, and are sent beside the text, never put into it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from importlib.resources import files
from typing import Any, Literal

from clickhouse_connect.driver.client import Client
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.definitions import Definitions

Format = Literal["table", "csv", "json"]

_PARAMETER = re.compile(r"^-- (\w+) = (.*?): (.+)$")
_CLICKHOUSE_FORMATS = {"csv": "CSVWithNames", "json": "JSONEachRow"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a query, by default an empty text where the meaning says so."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Query:
    """A named query: what it tells, its SQL, its parameters."""

    name: str
    title: str
    sql: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Unknown:
    """A query or parameter that does not exist, and what was probably meant."""

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
            found[name] = _read(name, file.read_text("utf-8"))
    return found


def _read(name: str, sql: str) -> Query:
    title: list[str] = []
    parameters = []
    for line in sql.splitlines():
        if not line.startswith("-- "):
            break
        parameter = _PARAMETER.match(line)
        if parameter:
            parameters.append(Parameter(*parameter.groups()))
        else:
            title.append(line.removeprefix("-- ").strip())
    return Query(name, " ".join(title), sql, tuple(parameters))


def find_query(name: str) -> Query | Unknown:
    """The query of a name."""
    queries = named_queries()
    if name in queries:
        return queries[name]
    return Unknown(f"no query named {name!r}{_meant(name, queries)}")


def bind(query: Query, given: Mapping[str, str], definitions: Definitions) -> dict[str, str] | Unknown:
    """Values for all parameters: the given ones, what the configuration says, the defaults of the file."""
    known = {parameter.name: parameter.default for parameter in query.parameters}
    for name in given:
        if name not in known:
            return Unknown(f"query {query.name} has no parameter {name!r}{_meant(name, known)}")
    configured = {name: value for name, value in _configured(definitions).items() if name in known}
    return {**known, **configured, **given}


def _configured(definitions: Definitions) -> dict[str, str]:
    """Parameters that follow the configured metrics instead of the shipped ones."""
    reached = (
        f"{level}:{name}:{definition.anchor}:{definition.span_days or 0}"
        for name, definition in definitions.activations.items()
        for level in definition.levels
    )
    return {"stages": ",".join(definitions.stages), "definitions": ",".join(reached)}


def _meant(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known)) or 'none'}"


def ask(client: Client, sql: str, parameters: Mapping[str, str]) -> Answer:
    """Run a query and fetch all of its rows."""
    result = client.query(sql, parameters=dict(parameters))
    return Answer(tuple(result.column_names), tuple(tuple(row) for row in result.result_rows))


def ask_text(client: Client, sql: str, parameters: Mapping[str, str], form: Literal["csv", "json"]) -> bytes:
    """Run a query and fetch its answer as ClickHouse itself writes it."""
    return client.raw_query(sql, parameters=dict(parameters), fmt=_CLICKHOUSE_FORMATS[form])


def table(answer: Answer, title: str = "") -> Table:
    """An answer for a terminal, numbers to the right."""
    shown = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold")
    for position, column in enumerate(answer.columns):
        numeric = any(isinstance(row[position], int | float) for row in answer.rows)
        shown.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in answer.rows:
        shown.add_row(*(Text(_cell(value)) for value in row))
    return shown


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_cell(part) for part in value)
    return str(value)


def show(console: Console, answer: Answer, title: str = "") -> None:
    """Print an answer as a table."""
    if answer.rows:
        console.print(table(answer, title))
    else:
        console.print(f"{title or 'No rows'}: nothing yet" if title else "No rows")

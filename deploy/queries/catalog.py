"""Named queries with the values of their parameters: looked up, checked, run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from clickhouse_connect.driver.client import Client

from schemas.config.problems import meant
from schemas.errors import ConfigurationError
from schemas.sql.named_queries import Parameter, Query, query_names, read_query

_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_FLOAT: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?")
_CLICKHOUSE_FORMATS: Final = {"csv": "CSVWithNames", "json": "JSONEachRow"}


@dataclass(frozen=True)
class Answer:
    """The rows of a query, with the names of their columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def find_query(name: str) -> Query:
    """The query of a name. Only its file is opened. Raises ConfigurationError."""
    names = query_names()
    if name not in names:
        raise ConfigurationError(f"no query named {name!r}{meant(name, names)}")
    return read_query(name)


def bind(query: Query, given: Mapping[str, str]) -> dict[str, str]:
    """Values for all parameters: the given ones, else the defaults of the file. Raises ConfigurationError."""
    known = query.parameters
    for name, value in given.items():
        if name not in known:
            raise ConfigurationError(f"query {query.name} has no parameter {name!r}{meant(name, known)}")
        if wrong := _wrong_value(known[name], value):
            raise ConfigurationError(f"{name} of query {query.name} cannot be {value!r}{wrong}")
    return {**{name: parameter.default for name, parameter in known.items()}, **given}


def check_needs(query: Query, values: Mapping[str, str]) -> None:
    """Raise ConfigurationError for a parameter that must be given and is not, or is given and excludes another."""
    given = [name for name in query.needs if values[name]]
    if query.one_of and len(given) > 1:
        raise ConfigurationError(f"query {query.name} takes either {' or '.join(given)}, not both")
    if query.needs and not given:
        raise ConfigurationError(f"query {query.name} needs {' or '.join(query.needs)}, as in -p {query.needs[0]}=...")
    for by in ("segment", "segments"):
        if values.get("value") and not values.get(by, "given"):
            raise ConfigurationError(
                f"value of query {query.name} is that of a segment, which is not named, as in -p {by}=technology"
            )


def _wrong_value(parameter: Parameter, value: str) -> str:
    """What is wrong with a value, as the end of a message; empty if it can be sent."""
    if parameter.values and value not in (*parameter.values, parameter.default):
        return meant(value, filter(None, (*parameter.values, parameter.default)))
    if parameter.type == "Float64" and not _FLOAT.fullmatch(value):
        return ": it must be a number"
    if parameter.type.startswith("UInt"):
        most = 2 ** int(parameter.type.removeprefix("UInt")) - 1
        if not _DIGITS.fullmatch(value) or int(value) > most:
            return f": it must be a whole number up to {most:,}"
    return ""


def ask(client: Client, sql: str, parameters: Mapping[str, str]) -> Answer:
    result = client.query(sql, parameters=dict(parameters))
    return Answer(tuple(result.column_names), tuple(tuple(row) for row in result.result_rows))


def ask_text(client: Client, sql: str, parameters: Mapping[str, str], form: Literal["csv", "json"]) -> bytes:
    """Run a query and fetch its answer as ClickHouse itself writes it."""
    return client.raw_query(sql, parameters=dict(parameters), fmt=_CLICKHOUSE_FORMATS[form])

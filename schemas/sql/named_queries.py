"""The named queries of `queries/`: SQL with a front matter in YAML, in the `--` comments at the head of the file.

`Query` is the front matter's format. Parameters are ClickHouse's own, `{name:Type}`. They are sent beside the text, never
put into it. An empty text stands for no value; a parameter may always be left at its default.
"""

from __future__ import annotations

from importlib.resources import files
from itertools import takewhile
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from schemas.config.document import unusable
from schemas.config.model_errors import StrictModel, problems_of

#: What a parameter may name: entries of the configuration, series, and subjects that the tables hold.
Names = Literal[
    "stages",
    "activations",
    "churn_risks",
    "power_users",
    "conversions",
    "metrics",
    "segments",
    "read_segments",
    "counted_segments",
    "companies",
    "developers",
]
_Text = Annotated[str, BeforeValidator(str)]
#: The parser in C, where PyYAML has it, is ten times faster.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DIRECTORY: Final = files("schemas").joinpath("sql", "queries")
_COMMENT: Final = "-- "


class Parameter(StrictModel):
    """A parameter. `values`: all that are allowed beside the default; empty: any. A `Time` is sent as a String."""

    type: Literal["String", "Time", "UInt16", "UInt32", "Float64"] = "String"
    values: tuple[_Text, ...] = ()
    default: _Text = ""
    names: Names | None = None
    meaning: str = ""

    @property
    def description(self) -> str:
        """The allowed values and the meaning in one."""
        allowed = " or ".join(filter(None, (", ".join(self.values[:-1]), *self.values[-1:])))
        return "; ".join(filter(None, (allowed, self.meaning)))


class Chart(StrictModel):
    """What to draw of an answer. A `line` runs over time, so a terminal shows it by default; `bar` compares."""

    kind: Literal["bar", "line"]
    label: str
    numbers: tuple[str, ...] = Field(min_length=1)


class Query(StrictModel):
    """A named query. `columns`: those of the answer with their meaning, in their order.

    `any_of`: at least one of these parameters must be given; `one_of`: exactly one.
    """

    name: str
    sql: str
    title: str
    description: str = ""
    topic: Literal["accounts", "activation", "alerts", "attribution", "funnel", "pipeline", "usage"]
    any_of: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    chart: Chart | None = None
    columns: dict[str, str]

    @property
    def needs(self) -> tuple[str, ...]:
        """The parameters of which one must be given; empty if none must."""
        return self.any_of or self.one_of

    @property
    def text(self) -> str:
        """Title and description as sentences."""
        return f"{self.title}. {self.description}".rstrip()


def query_names() -> list[str]:
    """The names of all queries, in alphabetic order. No file is opened."""
    return sorted(file.name.removesuffix(".sql") for file in _DIRECTORY.iterdir() if file.name.endswith(".sql"))


def read_query(name: str) -> Query:
    """One of the queries by its name."""
    return parse_query(name, _DIRECTORY.joinpath(f"{name}.sql").read_text("utf-8"))


def parse_query(name: str, sql: str) -> Query:
    """The query of a file's text. Raises ConfigurationError."""
    head = takewhile(lambda line: line.startswith(_COMMENT), sql.splitlines())
    text = "\n".join(line.removeprefix(_COMMENT) for line in head)
    front: dict[str, Any] = yaml.load(text, _LOADER) or {}  # noqa: S506 - either loader is a safe one
    try:
        return Query(name=name, sql=sql, **front)
    except ValidationError as error:
        raise unusable(f"{name}.sql", problems_of(error, front)) from None

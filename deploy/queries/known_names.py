"""Checks names given to a query against those in the tables. A mistyped one would give an empty answer, or all."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from schemas.config.definitions import SEGMENTS_GIVEN
from schemas.config.problems import meant
from schemas.errors import ConfigurationError
from schemas.sql.named_queries import Query

#: Sections of the configuration, as the rows were made under it.
_ENTRIES: Final = "SELECT section, name, definition FROM definitions WHERE name != '' ORDER BY section, position"
#: Whether an id is there, and the one that is most like it. The table is one of _SUBJECTS.
_SUBJECTS: Final = ("companies", "developers")
_IS_THERE: Final = "SELECT count() FROM {table:Identifier} WHERE id = {id:String}"
_MOST_LIKE: Final = """
    SELECT id, editDistance(lower(id), lower({id:String})) AS far, startsWith(lower(id), lower({id:String})) AS begins
    FROM {table:Identifier}
    WHERE begins OR far <= length(id) / 3
    ORDER BY begins DESC, far, id
    LIMIT 1
"""
#: The singular of each kind.
_ONE: Final[Mapping[str, str]] = {
    "stages": "stage",
    "activations": "activation definition",
    "churn_risks": "churn-risk definition",
    "power_users": "power-user definition",
    "conversions": "conversion",
    "metrics": "metric",
    "segments": "segment",
    "read_segments": "segment that is read from events",
    "counted_segments": "segment that is counted hour by hour",
    "companies": "company",
    "developers": "developer",
}


def check_names(client: Client, query: Query, values: Mapping[str, str]) -> None:
    """Raise ConfigurationError for the first name among the values that does not exist, with what was probably meant.

    Before the first event, no name is known and every name passes. Raises the driver's errors.
    """
    given = [
        (name, parameter.names, each)
        for name, parameter in query.parameters.items()
        if parameter.names
        for each in (values[name].split(",") if name == "segments" else [values[name]])
        if each
    ]
    known: dict[str, list[str]] | None = None
    for name, kind, value in given:
        if kind in _SUBJECTS:
            near = _no_subject(client, kind, value)
        else:
            known = known if known is not None else _known(client)
            near = None if not known["stages"] or value in known[kind] else meant(value, known[kind])
        if near is not None:
            raise ConfigurationError(f"{name} of query {query.name}: there is no {_ONE[kind]} {value!r}{near}")


def _no_subject(client: Client, kind: str, value: str) -> str | None:
    asked = {"table": kind, "id": value}
    if client.query(_IS_THERE, asked).result_rows[0][0]:
        return None
    found = client.query(_MOST_LIKE, asked).result_rows
    return f"; did you mean {found[0][0]!r}?" if found else ""


def _known(client: Client) -> dict[str, list[str]]:
    """All names, by what they name."""
    sections: dict[str, dict[str, Any]] = defaultdict(dict)
    for section, name, definition in client.query(_ENTRIES).result_rows:
        sections[section][name] = json.loads(definition)
    activations, segments = list(sections["activations"]), sections["segments"]
    of_activations = [
        f"{kind}:{name}" for kind in ("activated", "matured", "matured_activated") for name in activations
    ]
    return {
        **{section: list(sections[section]) for section in ("stages", "activations", "churn_risks", "power_users")},
        "conversions": ["signup", *(f"activated:{name}" for name in activations)],
        "metrics": ["active_tokens", "active_developers", "active_companies", "signups", *of_activations],
        "segments": [*SEGMENTS_GIVEN, *segments],
        "read_segments": [name for name, segment in segments.items() if segment["fields"]],
        "counted_segments": [name for name, segment in segments.items() if segment["values"]],
    }

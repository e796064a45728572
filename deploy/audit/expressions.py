"""Selectors and segment fields of the definitions as SQL expressions: the only place where the audit builds SQL.

A generic matcher over bound arrays takes two to three times as long (13 s instead of 5 s a million events), and ClickHouse's
JSON functions take a path only as separate arguments.

No name or value of the definitions becomes part of the text: all are bound parameters. Properties are JSON, so their types are
JSON's: a text is no number, true and false are neither, null is as good as absent.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import orjson

from schemas.config.definitions import Definitions, PropertyTest, Scalar, Selector


class Parameters:
    """Values of a statement, each bound to a name of its own."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def bind(self, value: Any, kind: str) -> str:
        """The placeholder of a value; `kind` is its type in ClickHouse."""
        name = f"given_{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"


def selectors_in_use(definitions: Definitions) -> list[str]:
    """The selectors that any number depends on, in the order in which an audit numbers them: 0, 1, ..."""
    stages = [stage.selector for stage in definitions.stages.values() if stage.selector]
    conditions = [
        condition.count or condition.distinct_days or ""
        for activation in definitions.activations.values()
        for condition in activation.all
    ]
    return sorted({*stages, *conditions, definitions.usage})


def condition(selector: Selector, parameters: Parameters) -> str:
    """The condition under which a row matches the selector."""
    parts = []
    if selector.source is not None:
        parts.append(f"source = {parameters.bind(selector.source, 'String')}")
    if selector.name:
        parts.append(f"has({parameters.bind(selector.name, 'Array(String)')}, name)")
    if selector.environment:
        parts.append(f"has({parameters.bind(list(selector.environment), 'Array(String)')}, environment)")
    parts += [_passes(field, test, parameters) for field, test in selector.properties.items()]
    return f"({' AND '.join(parts)})" if parts else "true"


def _passes(field: str, test: PropertyTest, parameters: Parameters) -> str:
    """Every operator given must hold; an absent property passes if the test allows it, or is for absence only."""
    path = f"properties, {parameters.bind(field, 'String')}"
    kind = f"JSONType({path})"
    asked = [
        *([] if test.equals is None else [_equals(path, test.equals, parameters)]),
        *([] if test.prefix is None else [_begins(path, test.prefix, parameters)]),
        *_bounds(path, test, parameters),
    ]
    passes_absent = test.or_missing or (test.exists is False and not asked)
    absent = f"{kind} = 'Null'" if passes_absent else "false"
    present = "false" if test.exists is False else " AND ".join([f"{kind} != 'Null'", *asked])
    return f"({absent} OR ({present}))"


def _equals(path: str, wanted: Scalar | list[Scalar], parameters: Parameters) -> str:
    alternatives = [_is(path, one, parameters) for one in (wanted if isinstance(wanted, list) else [wanted])]
    return f"({' OR '.join(alternatives or ['false'])})"


def _is(path: str, wanted: Scalar, parameters: Parameters) -> str:
    kind = f"JSONType({path})"
    if isinstance(wanted, bool):
        return f"({kind} = 'Bool' AND JSONExtractBool({path}) = {str(wanted).lower()})"
    if isinstance(wanted, str):
        return f"({kind} = 'String' AND JSONExtractString({path}) = {parameters.bind(wanted, 'String')})"
    # As text where both are whole, since whole numbers beyond 2 ** 53 may be equal as floats.
    same = f"({kind} = 'Double' AND JSONExtractFloat({path}) = {parameters.bind(float(wanted), 'Float64')})"
    if isfinite(wanted) and wanted == int(wanted):
        whole = parameters.bind(str(int(wanted)), "String")
        same = f"({same} OR ({kind} IN ('Int64', 'UInt64') AND JSONExtractRaw({path}) = {whole}))"
    return same


def _begins(path: str, prefix: str, parameters: Parameters) -> str:
    text = f"JSONExtractString({path})"
    return f"(JSONType({path}) = 'String' AND startsWith({text}, {parameters.bind(prefix, 'String')}))"


def _bounds(path: str, test: PropertyTest, parameters: Parameters) -> list[str]:
    bounds = [("<", test.lt), ("<=", test.lte), (">", test.gt), (">=", test.gte)]
    asked = [
        f"JSONExtractFloat({path}) {sign} {parameters.bind(bound, 'Float64')}"
        for sign, bound in bounds
        if bound is not None
    ]
    return [f"(JSONType({path}) IN ('Int64', 'UInt64', 'Double') AND {' AND '.join(asked)})"] if asked else []


def segment_fields(fields: list[str], parameters: Parameters) -> str:
    """The values of these fields of an event, as an array of JSON texts; empty where there is nothing that could be a value."""
    return f"CAST([{', '.join(_json_value(field, parameters) for field in fields)}], 'Array(String)')"


def _json_value(field: str, parameters: Parameters) -> str:
    """Only a text or a whole number can be a value; 1.0 is neither, but looks like one once it is written again."""
    column, *keys = field.split(".")
    path = ", ".join([column, *(parameters.bind(key, "String") for key in keys)])
    text = f"JSONExtractRaw({path})"
    is_value = f"startsWith({text}, '\"') OR JSONType({path}) IN ('Int64', 'UInt64')"
    value = f"multiIf({text} = '', '', {is_value}, {text}, '')"
    # Most events do not have the key at all, which a search for it finds much faster.
    key = parameters.bind(orjson.dumps(keys[-1]).decode(), "String")
    return f"if(position({column}, {key}) > 0, {value}, '')"

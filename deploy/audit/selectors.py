"""Selectors of the definitions as conditions in SQL over the columns of `event_rows`.

A condition is text with bound parameters: no name or value of a selector ever becomes part of the text. Properties are
JSON, so their types are JSON's: a text is no number, true and false are neither, null is as good as absent.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from schemas.config.definitions import Definitions, PropertyTest, Scalar, Selector


class Parameters:
    """Values for a statement, each bound to a name of its own."""

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
    """Every operator given must hold; an absent property passes if the test says so, or asks for nothing but absence."""
    place = f"properties, {parameters.bind(field, 'String')}"
    kind = f"JSONType({place})"
    asked = [
        *([] if test.equals is None else [_equals(place, test.equals, parameters)]),
        *([] if test.prefix is None else [_begins(place, test.prefix, parameters)]),
        *_bounds(place, test, parameters),
    ]
    passes_absent = test.or_missing or (test.exists is False and not asked)
    absent = f"{kind} = 'Null'" if passes_absent else "false"
    present = "false" if test.exists is False else " AND ".join([f"{kind} != 'Null'", *asked])
    return f"({absent} OR ({present}))"


def _equals(place: str, wanted: Scalar | list[Scalar], parameters: Parameters) -> str:
    alternatives = [_is(place, one, parameters) for one in (wanted if isinstance(wanted, list) else [wanted])]
    return f"({' OR '.join(alternatives or ['false'])})"


def _is(place: str, wanted: Scalar, parameters: Parameters) -> str:
    kind = f"JSONType({place})"
    if isinstance(wanted, bool):
        return f"({kind} = 'Bool' AND JSONExtractBool({place}) = {str(wanted).lower()})"
    if isinstance(wanted, str):
        return f"({kind} = 'String' AND JSONExtractString({place}) = {parameters.bind(wanted, 'String')})"
    # As text where both are whole, since numbers beyond 2 ** 53 are not told apart as floats.
    same = f"({kind} = 'Double' AND JSONExtractFloat({place}) = {parameters.bind(float(wanted), 'Float64')})"
    if isfinite(wanted) and wanted == int(wanted):
        whole = parameters.bind(str(int(wanted)), "String")
        same = f"({same} OR ({kind} IN ('Int64', 'UInt64') AND JSONExtractRaw({place}) = {whole}))"
    return same


def _begins(place: str, prefix: str, parameters: Parameters) -> str:
    text = f"JSONExtractString({place})"
    return f"(JSONType({place}) = 'String' AND startsWith({text}, {parameters.bind(prefix, 'String')}))"


def _bounds(place: str, test: PropertyTest, parameters: Parameters) -> list[str]:
    bounds = [("<", test.lt), ("<=", test.lte), (">", test.gt), (">=", test.gte)]
    asked = [
        f"JSONExtractFloat({place}) {sign} {parameters.bind(bound, 'Float64')}"
        for sign, bound in bounds
        if bound is not None
    ]
    return [f"(JSONType({place}) IN ('Int64', 'UInt64', 'Double') AND {' AND '.join(asked)})"] if asked else []

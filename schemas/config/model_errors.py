"""Translates pydantic's errors into problems of the data as it is written in the file.

pydantic's path to a value holds more than the file's own names: also members of unions, kinds and validators of keys.
`_way` drops these: no entry of the data has such a name. Unknown sections of the file: `schemas.config.definitions`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Self, get_args

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from schemas.config.problems import Problem, meant

#: The type of error that `StrictModel` makes of pydantic's `extra_forbidden`.
UNKNOWN_FIELD: Final = "unknown_field"
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'")
#: pydantic's name of a type, and what a person is asked for.
_WANTED: Final = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping of names to values",
    "model": "a mapping of names to values",
}
_TYPE_ERROR: Final = re.compile(r"(string|int|float|bool|list|dict|model)_(type|parsing|attributes_type|from_float)")


class StrictModel(BaseModel):
    """A frozen part of the configuration. The error about an unknown field names the nearest known one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="wrap")
    @classmethod
    def _name_the_nearest_field(cls, data: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(data)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if not any(_is_unknown(each) for each in errors):
                raise
            raise ValidationError.from_exception_data(
                error.title, [cls._unknown_field(each) if _is_unknown(each) else _again(each) for each in errors]
            ) from None

    @classmethod
    def _unknown_field(cls, error: Any) -> InitErrorDetails:
        kinds = get_args(cls.model_fields["kind"].annotation) if "kind" in cls.model_fields else ()
        owner = f"the kind {kinds[0]!r} has" if kinds else "there is"
        known = [field.alias or name for name, field in cls.model_fields.items()]
        text = f"{owner} no such field{meant(str(error['loc'][0]), known)}"
        return InitErrorDetails(type=_custom(text), loc=error["loc"], input=error["input"])


def _is_unknown(error: Any) -> bool:
    return error["type"] == "extra_forbidden" and len(error["loc"]) == 1


def _again(error: Any) -> InitErrorDetails:
    kind = _custom(error["msg"]) if error["type"] == UNKNOWN_FIELD else error["type"]
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=error.get("ctx", {}))


def _custom(text: str) -> PydanticCustomError:
    return PydanticCustomError(UNKNOWN_FIELD, "{text}", {"text": text})


def problems_of(error: ValidationError, data: Any, hidden: Collection[str] = ()) -> list[Problem]:
    """The problems that pydantic found in data. What is given under a `hidden` name is not shown."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for each in error.errors(include_url=False):
        found.setdefault(_way(each, data), []).append(each)
    return [
        Problem(way, what)
        for way, errors in found.items()
        for what in dict.fromkeys(_explained(errors, secret=not set(hidden).isdisjoint(way)))
    ]


def _way(error: Any, data: Any) -> tuple[str, ...]:
    """The way to a value through the data. A position stays even where a single value stands for a list of one."""
    way: list[str] = []
    for part in error["loc"]:
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(part, int):
            data = data[part] if isinstance(data, Sequence) and part < len(data) else None
        elif error["type"] != "missing" or part != error["loc"][-1]:
            continue
        way.append(str(part))
    return tuple(way)


def _explained(errors: Sequence[Any], *, secret: bool) -> Iterator[str]:
    """What is wrong at one place. Several errors of type there are the members of a union, none of which fits."""
    mistyped = {m[1] for e in errors if (m := _TYPE_ERROR.fullmatch(e["type"]))}
    if len(mistyped) > 1:
        wanted = list(dict.fromkeys(text for kind, text in _WANTED.items() if kind in mistyped - {"int"}))
        yield f"give {' or '.join([', '.join(wanted[:-1]), wanted[-1]])}, not {_shown(errors[0]['input'], secret=secret)}"
        return
    for error in errors:
        yield _what(error, secret=secret)


def _what(error: Any, *, secret: bool) -> str:
    kind, given = error["type"], error["input"]
    context: Mapping[str, Any] = error.get("ctx", {})
    mistyped = _TYPE_ERROR.fullmatch(kind)
    if mistyped is not None:
        quotes = "; put it in quotes" if mistyped[1] == "string" and isinstance(given, bool | int | float) else ""
        return f"give {_WANTED[mistyped[1]]}, not {_shown(given, secret=secret)}{quotes}"
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        shown = repr(given) if isinstance(given, str) and not secret else _shown(given, secret=secret)
        return f"{shown} is none of these{meant(str(given), _QUOTED.findall(context['expected']))}"
    if kind == "union_tag_invalid":
        return f"there is no kind {context['tag']!r}{meant(str(context['tag']), _QUOTED.findall(context['expected_tags']))}"
    if kind == "union_tag_not_found":
        return "give its `kind`"
    if kind in ("too_short", "too_long"):
        bound = f"least {context['min_length']}" if kind == "too_short" else f"most {context['max_length']}"
        return f"must have at {bound} characters" if secret else f"the number of entries must be at {bound}"
    if kind == "url_scheme":
        return f"must begin with {context['expected_schemes'].replace(chr(39), '').replace(' or ', ':// or ')}://"
    message: str = error["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "must be").replace("Input should", "must")


def _shown(given: Any, *, secret: bool) -> str:
    """A wrong value for people: what it is, and itself if that is short and may be seen."""
    if given is None:
        return "nothing"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, int | float):
        return f"the number {given}"
    if isinstance(given, str):
        return "a text" if secret or len(given) > 40 else f"the text {given!r}"
    return {"list": "a list", "dict": "a mapping"}.get(type(given).__name__, f"a {type(given).__name__}")

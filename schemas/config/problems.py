"""What is wrong with a configuration, in the words of who wrote it: place, field, what is wrong, what was probably meant."""

from __future__ import annotations

import re
import types
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from schemas.config.document import Document

#: So many letters that begin a single name stand for it: prod, dev.
_BEGINNING: Final = 3
_QUOTED: Final = re.compile(r"'((?:[^'\\]|\\.)*)'")
#: pydantic's word for what was to be given, and ours.
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
#: Names that pydantic puts on the way for the members of a union, which nobody has written.
_MEMBER: Final = re.compile(r"str|int|float|bool|list\[.*\]|\[key\]")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `way`: the keys and positions that lead to it; `place`: what to point at, if something else.

    `names`: the section of names that it leads to in vain, if it does.
    """

    way: tuple[str, ...]
    what: str
    place: tuple[str, ...] | None = None
    names: str = ""

    @property
    def field(self) -> str:
        """The way as people write it: stages.docs.selector, activations.x.all[0]."""
        text = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in self.way)
        return text.removeprefix(".")


def problem_lines(problems: Iterable[Problem], document: Document | None = None) -> str:
    """A line for each problem, in the order of the file, each once."""
    lines: dict[str, tuple[int, int]] = {}
    for problem in problems:
        place = document.place(problem.place or problem.way) if document else None
        text = f"{problem.field}: {problem.what}" if problem.way else problem.what
        if document is not None:
            at = f":{place.line}:{place.column}" if place else ""
            text = f"{document.name}{at}: {text}"
        lines.setdefault(text, (place.line, place.column) if place else (0, 0))
    return "\n".join(sorted(lines, key=lambda line: lines[line]))


def meant(wrong: str, known: Iterable[str]) -> str:
    """The near match as the end of a message, or all that there is."""
    names = sorted(dict.fromkeys(known))
    if not names:
        return "; there are none"
    folded = {name.casefold(): name for name in reversed(names)}
    begun = [name for name in folded if len(wrong) >= _BEGINNING and name.startswith(wrong.casefold())]
    near = begun if len(begun) == 1 else get_close_matches(wrong.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else f"; there are {', '.join(names)}"


def problems_of(error: ValidationError, model: Any, hidden: Collection[str] = ()) -> list[Problem]:
    """The problems that pydantic found in data of a model (or any annotation). What is given under a `hidden` name is not shown."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for each in error.errors(include_url=False):
        found.setdefault(_followed(each["loc"], model)[0], []).append(each)
    return [
        Problem(way, what)
        for way, errors in found.items()
        for what in dict.fromkeys(_explained(errors, way, model, secret=not set(hidden).isdisjoint(way)))
    ]


def _explained(errors: Sequence[Any], way: tuple[str, ...], model: Any, *, secret: bool) -> Iterator[str]:
    """What is wrong at one place. Several errors of type there are the members of a union, none of which fits."""
    mistyped = {m[1] for e in errors if (m := _TYPE_ERROR.fullmatch(e["type"]))}
    if len(mistyped) > 1:
        wanted = list(dict.fromkeys(text for kind, text in _WANTED.items() if kind in mistyped - {"int"}))
        yield f"give {' or '.join([', '.join(wanted[:-1]), wanted[-1]])}, not {_shown(errors[0]['input'], secret=secret)}"
        return
    for error in errors:
        yield _what(error, way, model, secret=secret)


def _what(error: Any, way: tuple[str, ...], model: Any, *, secret: bool) -> str:
    kind, given = error["type"], error["input"]
    context: Mapping[str, Any] = error.get("ctx", {})
    mistyped = _TYPE_ERROR.fullmatch(kind)
    if mistyped is not None:
        quotes = "; put it in quotes" if mistyped[1] == "string" and isinstance(given, bool | int | float) else ""
        return f"give {_WANTED[mistyped[1]]}, not {_shown(given, secret=secret)}{quotes}"
    if kind == "extra_forbidden":
        here = _followed(error["loc"][:-1], model)[1]
        kinds = _tags(here)
        whose = f"the kind {kinds.pop()!r} has" if len(kinds) == 1 else "there is"
        return f"{whose} no such field{meant(way[-1], _fields(here))}"
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


def _followed(place: Sequence[int | str], model: Any) -> tuple[tuple[str, ...], list[Any]]:
    """The way to a value as it is in the file, without what pydantic puts in between for unions and keys; what may stand there."""
    way: list[str] = []
    here = [model]
    for part in place:
        name = str(part)
        after = [inner for each in here for inner in _inside(each, name)]
        if not after and name in _tags(here):
            here = [each for each in _models(here) if name in _tags([each])]
            continue
        if not after and _MEMBER.fullmatch(name):
            continue
        way.append(name)
        here = after
    return tuple(way), here


def _fields(annotations: Iterable[Any]) -> list[str]:
    """The fields of models, under the names that a file uses for them."""
    return [field.alias or name for each in _models(annotations) for name, field in each.model_fields.items()]


def _inside(annotation: Any, part: str) -> list[Any]:
    """What a value may be that stands under a name or position in one of an annotation."""
    found = []
    for each in _members(annotation):
        origin, inner = get_origin(each), get_args(each)
        if _is_model(each):
            found += [field.annotation for name, field in each.model_fields.items() if part in (name, field.alias)]
        elif origin is dict or (origin in (list, tuple) and part.isdigit()):
            found.append(inner[-1 if origin is dict else 0])
    return found


def _members(annotation: Any) -> list[Any]:
    """The members of a union, which may be annotated and nested; of anything else itself."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [each for member in get_args(annotation) for each in _members(member)]
    return [annotation]


def _models(annotations: Iterable[Any]) -> list[Any]:
    """The models among annotations and the members of unions."""
    return [each for one in annotations for each in _members(one) if _is_model(each)]


def _tags(annotations: Iterable[Any]) -> set[str]:
    """What the `kind` of the models may be."""
    return {
        str(tag)
        for each in _models(annotations)
        if "kind" in each.model_fields
        for tag in get_args(each.model_fields["kind"].annotation)
    }


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)

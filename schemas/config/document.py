"""Reads a YAML file with the line and column of every value, so that a message can name them.

PyYAML accepts a key that is there twice; this reader refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from schemas.config.problems import Problem
from schemas.errors import ConfigurationError

#: The way to a value: keys and positions in lists, as texts.
Way = tuple[str, ...]

_TAB: Final = "\\t"


class Location(NamedTuple):
    """Line and column, from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """A mapping of sections, and where each key or entry of a list begins. `name`: the path of the file."""

    name: str
    sections: Mapping[str, Any]
    places: Mapping[Way, Location] = field(default_factory=dict)

    def place(self, way: Way) -> Location | None:
        """Where a value stands, or the nearest thing around it; None if it is not in the file at all."""
        for end in range(len(way), 0, -1):
            if way[:end] in self.places:
                return self.places[way[:end]]
        return None

    def has(self, section: str) -> bool:
        """Whether the file itself has a section."""
        return section in self.sections


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


def unusable(title: str, problems: Iterable[Problem], document: Document | None = None) -> ConfigurationError:
    """The error for problems, a line each under the name of the document, else a title."""
    name = document.name if document else title
    return ConfigurationError(f"{name} cannot be used:\n{problem_lines(problems, document)}")


def read_document(path: Path) -> Document:
    """The document of a file. Raises ConfigurationError."""
    name = str(path)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{name}: cannot be read: byte {error.start + 1} is not UTF-8; save it as UTF-8 text"
        ) from None
    return parse_document(text, name)


def parse_document(text: str, name: str) -> Document:
    """The document of a text. Raises ConfigurationError."""
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as error:
        # A character that no text may hold.
        raise ConfigurationError(_syntax(error, name)) from None
    try:
        root = loader.get_single_node()
        if root is None:
            raise ConfigurationError(
                f"{name}: holds nothing; write a section, or name no file: then what is shipped holds"
            )
        survey = _Survey(loader)
        survey.visit(root, ())
        loaded = None if survey.problems else loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ConfigurationError(_syntax(error, name)) from None
    except ConfigurationError:
        raise
    except (ValueError, RecursionError) as error:
        # As of a date that is none.
        raise ConfigurationError(f"{name}: is not YAML that can be used: {error}") from None
    finally:
        loader.dispose()
    if survey.problems:
        raise ConfigurationError(problem_lines(survey.problems, Document(name, {}, survey.places)))
    if not isinstance(loaded, dict):
        place = Location(root.start_mark.line + 1, root.start_mark.column + 1)
        raise ConfigurationError(
            f"{name}:{place.line}:{place.column}: the file must hold a mapping of sections, as `internal: ...`, not a"
            f" {'list' if isinstance(loaded, list) else 'single value'}"
        )
    return Document(name, {str(key): value for key, value in loaded.items()}, survey.places)


class _Survey:
    """Walks the nodes of a document: collects locations, duplicate keys and aliases that lead back to themselves."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._open: set[int] = set()
        self.places: dict[Way, Location] = {}
        self.problems: list[Problem] = []

    def visit(self, node: yaml.Node, way: Way) -> None:
        if id(node) in self._open:
            self.problems.append(Problem(way, "an alias that leads back to itself"))
            return
        self._open.add(id(node))
        if isinstance(node, yaml.MappingNode):
            self._visit_mapping(node, way)
        elif isinstance(node, yaml.SequenceNode):
            for position, entry in enumerate(node.value):
                self._put((*way, str(position)), entry)
                self.visit(entry, (*way, str(position)))
        self._open.discard(id(node))

    def _visit_mapping(self, node: yaml.MappingNode, way: Way) -> None:
        lines: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._put((*way, "?"), key)
                self.problems.append(Problem((*way, "?"), "a list or mapping cannot be a name"))
                continue
            name = str(self._loader.construct_object(key))
            inner = (*way, name)
            if name in lines:
                twice = (*inner, "(again)")
                self._put(twice, key)
                self.problems.append(
                    Problem(inner, f"is there twice, first in line {lines[name]}; keep one of them", place=twice)
                )
                continue
            lines[name] = key.start_mark.line + 1
            self._put(inner, key)
            self.visit(value, inner)

    def _put(self, way: Way, node: yaml.Node) -> None:
        self.places[way] = Location(node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax(error: yaml.YAMLError, name: str) -> str:
    """PyYAML's error with its place in front, in one line."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark is not None else name
        begun = error.context_mark
        context = f", {error.context} from line {begun.line + 1} on" if error.context and begun is not None else ""
        hint = "; indent with spaces, not with tabs" if _TAB in (error.problem or "") else ""
        return f"{where}: is not YAML: {error.problem or error.context}{context}{hint}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"{name}: is not YAML: character {error.position + 1} is {error.character!r}, which no text may hold"
    return f"{name}: is not YAML: {error}"

"""One configuration file as a whole: everything that is wrong with it, and what it says beside what is shipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.config import definitions, monitors
from schemas.config.definitions import OTHER_SECTIONS, Definitions
from schemas.config.document import Document, read_document
from schemas.config.loading import problems_of_settings
from schemas.config.monitors import Monitors
from schemas.config.problems import Problem, problem_lines
from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class Configuration:
    """A file that can be used, or without one what is shipped."""

    definitions: Definitions
    monitors: Monitors
    document: Document = field(default_factory=lambda: Document("the shipped configuration", {}))

    @property
    def settings(self) -> dict[str, Any]:
        """What the file says of settings."""
        return dict(self.document.sections.get("settings") or {})

    def sections(self) -> dict[str, Any]:
        """The sections of definitions as they are written, the shipped ones where the file has none."""
        return definitions.shipped() | self._own()

    def origin(self, section: str) -> str:
        """Where a section comes from."""
        if section not in self.document.sections:
            return "shipped"
        place = self.document.place((section,))
        return f"{self.document.name}:{place.line}" if place else self.document.name

    def _own(self) -> dict[str, Any]:
        return {name: section for name, section in self.document.sections.items() if name not in OTHER_SECTIONS}


def read_configuration(path: Path | None) -> Configuration:
    """The configuration of a file. Raises ConfigurationError with everything that is wrong in any section."""
    if path is None:
        found = definitions.build({})
        return Configuration(found, monitors.build({}, found))
    try:
        document = read_document(path)
    except ConfigurationError as error:
        raise ConfigurationError(str(error)) from None
    own = {name: section for name, section in document.sections.items() if name not in OTHER_SECTIONS}
    problems: list[Problem] = problems_of_settings(document)
    meaning = definitions.checked(own)
    if isinstance(meaning, list):
        problems += meaning
    watched = monitors.checked(document.sections.get("monitors", {}), definitions.shipped() | own)
    if isinstance(watched, list):
        problems += watched
    if problems or isinstance(meaning, list) or isinstance(watched, list):
        raise ConfigurationError(f"{path} cannot be used:\n{problem_lines(problems, document)}")
    return Configuration(meaning, monitors.filled(watched, meaning), document)

"""One configuration file as a whole: its own sections, the shipped ones, and everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.config import definitions, monitors
from schemas.config.definitions import Definitions, own_sections
from schemas.config.document import Document, read_document, unusable
from schemas.config.loading import problems_of_settings
from schemas.config.monitors import Monitors


@dataclass(frozen=True)
class Configuration:
    """A usable file, or the shipped configuration."""

    definitions: Definitions
    monitors: Monitors
    document: Document = field(default_factory=lambda: Document("the shipped configuration", {}))

    @property
    def settings(self) -> dict[str, Any]:
        """The section `settings` of the file."""
        return dict(self.document.sections.get("settings") or {})

    def sections(self) -> dict[str, Any]:
        """The sections of definitions as they are written, the shipped ones where the file has none."""
        return definitions.shipped() | own_sections(self.document)

    def origin(self, section: str) -> str:
        """Where a section comes from."""
        if section not in self.document.sections:
            return "shipped"
        place = self.document.place((section,))
        return f"{self.document.name}:{place.line}" if place else self.document.name


def read_configuration(path: Path | None) -> Configuration:
    """The configuration of a file. Raises ConfigurationError with everything that is wrong in any section."""
    if path is None:
        found = definitions.build({})
        return Configuration(found, monitors.build({}, found))
    document = read_document(path)
    own = own_sections(document)
    problems = problems_of_settings(document)
    meaning = definitions.checked(own)
    if isinstance(meaning, list):
        problems += meaning
    watched = monitors.checked(document.sections.get("monitors", {}), definitions.shipped() | own)
    if isinstance(watched, list):
        problems += watched
    if problems or isinstance(meaning, list) or isinstance(watched, list):
        raise unusable(str(path), problems, document)
    return Configuration(meaning, monitors.filled(watched, meaning), document)

"""Where settings are written: variables, files that variables name, and the `settings` section of the YAML file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from schemas.config.document import Document, problem_lines, read_document
from schemas.config.problems import Problem
from schemas.errors import ConfigurationError

PREFIX: Final = "FIRSTCALL_"
#: Read by the test suite, not by Firstcall.
TEST_PREFIX: Final = f"{PREFIX}TEST_"


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{field.upper()}"


def is_given(field: str) -> bool:
    """Whether the environment or the YAML file has a setting. Raises ConfigurationError."""
    name = variable(field)
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE")) or field in settings_in_yaml()


def settings_in_files(fields: Iterable[str]) -> dict[str, str]:
    """The settings whose variable ends in _FILE: the text of the file, without white space around it."""
    found = {}
    for field in set(fields) - {"config"}:
        name = f"{variable(field)}_FILE"
        path = os.environ.get(name)
        if not path:
            continue
        if os.environ.get(variable(field)):
            raise ConfigurationError(f"{name}: {variable(field)} is set too; set one of them")
        try:
            found[field] = Path(path).read_text("utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"{name}={path!r}: cannot be read: {error.strerror}") from None
    return found


def settings_in_yaml() -> dict[str, Any]:
    """The `settings` section of the YAML file, or nothing."""
    document = named_document()
    if document is None:
        return {}
    try:
        return settings_of(document)
    except ConfigurationError as error:
        raise ConfigurationError(f"{variable('config')}: {error}") from None


def settings_of(document: Document) -> dict[str, Any]:
    """The `settings` section of a document; settings without a value are left out. Raises ConfigurationError."""
    problem = unusable_section(document)
    if problem is not None:
        raise ConfigurationError(problem_lines([problem], document))
    section = document.sections.get("settings") or {}
    return {str(key): value for key, value in section.items() if value is not None}


def unusable_section(document: Document) -> Problem | None:
    """What is wrong with the section `settings` as a whole."""
    section = document.sections.get("settings")
    if section is not None and not isinstance(section, dict):
        return Problem(("settings",), "must be a mapping of names to values")
    if section and "config" in section:
        return Problem(("settings", "config"), f"a file cannot name another one; set {variable('config')}")
    return None


def named_file() -> Path | None:
    """The YAML file that FIRSTCALL_CONFIG names."""
    path = os.environ.get(variable("config"))
    return Path(path).expanduser() if path else None


def named_document() -> Document | None:
    """The document of that file. Raises ConfigurationError."""
    path = named_file()
    try:
        return read_document(path) if path else None
    except ConfigurationError as error:
        raise ConfigurationError(f"{variable('config')}: {error}") from None

"""Reads the settings. A message about a wrong one names where it is written, what is wrong and what was probably meant.

A setting comes from, strongest first: its variable (`FIRSTCALL_KAFKA`), a file that a variable names
(`FIRSTCALL_KAFKA_FILE`, for orchestrators that mount secrets as files), the `settings` section of the YAML file that
`FIRSTCALL_CONFIG` names, its default.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from secrets import token_hex
from tempfile import mkstemp
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from schemas.config.document import Document
from schemas.config.kafka_options import KafkaOptions
from schemas.config.model_errors import UNKNOWN_FIELD, problems_of
from schemas.config.problems import Problem, meant
from schemas.config.settings import Settings, wrong_secrets
from schemas.config.sources import (
    PREFIX,
    TEST_PREFIX,
    is_given,
    named_document,
    settings_of,
    unusable_section,
    variable,
)
from schemas.errors import ConfigurationError

#: In the data directory.
GENERATION_FILE = "generation"
#: Settings that hold secrets, or may.
HIDDEN = {"secrets", "retired_secrets", "clickhouse", "kafka_options"}


def load_settings(**given: Any) -> Settings:
    """The settings of this process; `given` ones win over all others.

    Raises ConfigurationError.
    """
    problems = _unknown_variables()
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise ConfigurationError("\n".join([*problems, *_described(error, given)])) from None
    if problems:
        raise ConfigurationError("\n".join(problems))
    if "generation" in given or is_given("generation"):
        return settings
    return settings.model_copy(update={"generation": remembered_generation(settings.data_dir)})


def remembered_generation(data_dir: Path) -> int:
    """The generation that `firstcall rebuild` has left as the one to run; 1 if there was none.

    Raises ConfigurationError.
    """
    path = data_dir / GENERATION_FILE
    try:
        text = path.read_text("utf-8").strip()
    except FileNotFoundError:
        return 1
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    if not text.isdigit() or not int(text):
        raise ConfigurationError(f"{path}: holds no generation; write the number of the one that runs into it, as `2`")
    return int(text)


def hmac_secrets(settings: Settings) -> tuple[bytes, ...]:
    """The secrets that name API keys, oldest first: the given ones, else those in the data directory, a line each.

    Generates one there on first use, readable by its owner only. All processes of one data directory get the same.
    Raises ConfigurationError for a file that holds none, or wrong ones.
    """
    if settings.secrets:
        return tuple(secret.get_secret_value().encode() for secret in settings.secrets)
    path = settings.data_dir / "secret"
    if not path.exists():
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        descriptor, draft = mkstemp(dir=settings.data_dir, prefix="secret-")  # readable by its owner only
        with os.fdopen(descriptor, "w") as file:
            file.write(token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link either appears whole or, when another process was first, not at all.
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            Path(draft).unlink()
    return tuple(secret.encode() for secret in _secrets_in(path))


def _secrets_in(path: Path) -> list[str]:
    """The secrets in a file, one a line. Raises ConfigurationError, which shows none of them."""
    try:
        secrets = path.read_text("utf-8").split()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not a text with one secret a line") from None
    problem = wrong_secrets(secrets) if secrets else "holds no secret any more; put back the copy of it"
    if problem:
        raise ConfigurationError(f"{path}: {problem}")
    return secrets


def problems_of_settings(document: Document) -> list[Problem]:
    """All that is wrong with the `settings` of a document, without regard to the environment. No secret is shown."""
    problem = unusable_section(document)
    if problem is not None:
        return [problem]
    section = settings_of(document)
    known = Settings.model_fields
    problems = [
        Problem(("settings", name), f"there is no such field{meant(name, known)}")
        for name in section
        if name not in known
    ]
    try:
        _SettingsOfFile(**{name: value for name, value in section.items() if name in known})
    except ValidationError as error:
        found = problems_of(error, section, HIDDEN)
        # Without a field: of all settings together, which may be right with those of the environment.
        problems += [Problem(("settings", *each.way), each.what) for each in found if each.way]
    return problems


def origins(settings: Settings) -> dict[str, str]:
    """Where the value of each setting comes from: a variable, a place in a file, or its default."""
    document = named_document()
    written = settings_of(document) if document else {}
    found = {}
    for field in Settings.model_fields:
        name = variable(field)
        if os.environ.get(name) or os.environ.get(f"{name}_FILE") or field in written:
            found[field] = _origin(field, [], {}).removesuffix(f": settings.{field}")
        elif field == "generation" and settings.generation > 1:
            found[field] = str(settings.data_dir / GENERATION_FILE)
        else:
            found[field] = "default"
    return found


class _SettingsOfFile(Settings):
    """The settings of a file alone."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - named by the library
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def _unknown_variables() -> list[str]:
    known = {variable(field) for field in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known - {variable("config")}}
    unknown = [
        name
        for name in os.environ
        if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX) and name not in known
    ]
    return [f"{name}: no such setting{_meant(name, known)}" for name in sorted(unknown)]


def _meant(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"


def _described(error: ValidationError, given: dict[str, Any]) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            lines.append(message)
            continue
        field, *inner = (str(part) for part in problem["loc"])
        where = _origin(field, inner, given)
        shown = problem["input"] if not inner and field not in HIDDEN else None
        if problem["type"] in ("extra_forbidden", UNKNOWN_FIELD):
            model = KafkaOptions if inner else Settings
            lines.append(f"{where}: no such setting{_meant(inner[-1] if inner else field, set(model.model_fields))}")
        elif isinstance(shown, str | int | float | bool):
            lines.append(f"{where}={str(shown)!r}: {message}")
        else:
            lines.append(f"{where}: {message}")
    return lines


def _origin(field: str, inner: list[str], given: dict[str, Any]) -> str:
    """Where the value of a setting comes from, as its author would find it."""
    name = variable(field)
    document = named_document()
    if field in given:
        place = field
    elif not os.environ.get(name) and os.environ.get(f"{name}_FILE"):
        place = f"{name}_FILE"
    elif os.environ.get(name) or document is None:
        place = name
    else:
        way = ("settings", field, *inner)
        mark = document.place(way)
        at = f":{mark.line}:{mark.column}" if mark and document.has("settings") else ""
        return f"{document.name}{at}: {'.'.join(way)}"
    return ".".join([place, *inner])

"""Reads the settings, and says about a wrong one where it stands, what is wrong and what was probably meant.

A setting comes from, strongest first: its variable (`FIRSTCALL_KAFKA`), a file that a variable names (`FIRSTCALL_KAFKA_FILE`, for
orchestrators that mount secrets as files), the `settings` section of the YAML file that `FIRSTCALL_CONFIG` names, its default.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from secrets import token_hex
from tempfile import mkstemp
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.settings import PREFIX, Settings, wrong_secrets

# Read by the test suite, not by Firstcall.
TEST_PREFIX = f"{PREFIX}TEST_"
_HIDDEN = {"secrets", "retired_secrets", "clickhouse", "kafka_options"}


class SettingsError(ValueError):
    """Settings that cannot be used. The message has a line for each wrong one."""


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{field.upper()}"


def load_settings(**given: Any) -> Settings:
    """The settings of this process; `given` ones win over all others.

    Raises SettingsError.
    """
    problems = _unknown_variables()
    try:
        if problems:
            raise SettingsError("\n".join(problems))
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_described(error, given))) from None


def hmac_secrets(settings: Settings) -> tuple[bytes, ...]:
    """The secrets that name API keys, oldest first: the given ones, else those in the data directory, a line each.

    Generates one there on first use, readable by its owner only. All processes of one data directory get the same.
    Raises SettingsError for a file that holds none, or wrong ones.
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
    """The secrets in a file, one a line. Raises SettingsError, which shows none of them."""
    try:
        secrets = path.read_text("utf-8").split()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not a text with one secret a line") from None
    problem = wrong_secrets(secrets) if secrets else "holds no secret any more; put back the copy of it"
    if problem:
        raise SettingsError(f"{path}: {problem}")
    return secrets


def settings_in_files() -> dict[str, str]:
    """The settings whose variable ends in _FILE: the text of the file, without white space around it."""
    found = {}
    for field in Settings.model_fields.keys() - {"config"}:
        name = f"{variable(field)}_FILE"
        path = os.environ.get(name)
        if not path:
            continue
        if os.environ.get(variable(field)):
            raise SettingsError(f"{name}: {variable(field)} is set too; set one of them")
        try:
            found[field] = Path(path).read_text("utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}={path!r}: cannot be read: {error.strerror}") from None
    return found


def settings_in_yaml() -> dict[str, Any]:
    """The `settings` section of the YAML file, or nothing."""
    path = os.environ.get(variable("config"))
    if not path:
        return {}
    name = f"{variable('config')}={path!r}"
    try:
        loaded = yaml.safe_load(Path(path).expanduser().read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{name}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{name}: is not YAML: {error}") from None
    section = (loaded or {}).get("settings") if isinstance(loaded or {}, dict) else loaded
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise SettingsError(f"{name}: `settings` must be a mapping of names to values")
    if "config" in section:
        raise SettingsError(f"{name}: settings.config: a file cannot name another one; set {variable('config')}")
    return {str(key): value for key, value in section.items() if value is not None}


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
        where = ".".join([_origin(field, given), *inner])
        shown = problem["input"] if not inner and field not in _HIDDEN else None
        if problem["type"] == "extra_forbidden":
            from schemas.kafka_options import KafkaOptions

            model = KafkaOptions if inner else Settings
            lines.append(f"{where}: no such setting{_meant(inner[-1] if inner else field, set(model.model_fields))}")
        elif isinstance(shown, str | int | float | bool):
            lines.append(f"{where}={str(shown)!r}: {message}")
        else:
            lines.append(f"{where}: {message}")
    return lines


def _origin(field: str, given: dict[str, Any]) -> str:
    """Where the value of a setting comes from, as its author would find it."""
    name = variable(field)
    if field in given:
        return field
    if os.environ.get(name):
        return name
    if os.environ.get(f"{name}_FILE"):
        return f"{name}_FILE"
    path = os.environ.get(variable("config"))
    return f"{path}: settings.{field}" if path else name

"""Checks this installation: Python, configuration, data directory, secret, and the tools of the local broker."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from typing import Final

from deploy.doctor.finding import Finding
from deploy.local.kafka.runtime import Available, Missing, availability
from schemas.config.definitions import load as load_definitions
from schemas.config.loading import hmac_secrets
from schemas.config.settings import Settings
from schemas.errors import ConfigurationError

LOW_DISK_GB: Final = 2


def check_python(_: Settings) -> Iterator[Finding]:
    """The interpreter and the versions of what matters most."""
    supported = (3, 11) <= sys.version_info < (3, 14)
    named = ("firstcall", "faust-streaming", "confluent-kafka", "chdb-core")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in named)
    yield Finding(
        "python",
        "ok" if supported else "wrong",
        f"{platform.python_version()}; {versions}",
        "" if supported else "use Python 3.11, 3.12 or 3.13",
    )


def check_configuration(settings: Settings) -> Iterator[Finding]:
    """Definitions, data directory and the HMAC secret. Wrong settings have ended the command before."""
    shown = settings.config or "shipped definitions; FIRSTCALL_CONFIG is not set"
    try:
        definitions = load_definitions(settings.config)
    except ConfigurationError as error:
        yield Finding("configuration", "wrong", str(error), "correct the file that FIRSTCALL_CONFIG names")
    else:
        count = f"{len(definitions.stages)} stages, {len(definitions.activations)} activations"
        yield Finding("configuration", "ok", f"{shown}: {count}, fingerprint {definitions.fingerprint()}")
    yield from _check_data_dir(settings)
    yield _secret_found(settings)


def _check_data_dir(settings: Settings) -> Iterator[Finding]:
    directory = settings.data_dir
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "data", "wrong", f"{directory} cannot be written", "set FIRSTCALL_DATA_DIR to a folder that can be"
        )
        return
    free = shutil.disk_usage(existing).free / 1e9
    low = free < LOW_DISK_GB
    advice = "free some space, or set FIRSTCALL_DATA_DIR to another disk" if low else ""
    yield Finding("data", "note" if low else "ok", f"{directory}, {free:.0f} GB free", advice)


def _secret_found(settings: Settings) -> Finding:
    path = settings.data_dir / "secret"
    if settings.secrets:
        return Finding("secret", "ok", _shown_secrets(len(settings.secrets), "given"))
    if not path.exists():
        return Finding("secret", "ok", f"none yet; one will be made in {path}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("secret", "wrong", f"{path} can be read by others", f"chmod 600 {path}")
    try:
        secrets = hmac_secrets(settings)
    except ConfigurationError as error:
        return Finding("secret", "wrong", str(error), f"correct {path}: one secret a line, the oldest first")
    return Finding("secret", "ok", _shown_secrets(len(secrets), f"generated, in {path}; keep a copy of it"))


def _shown_secrets(number: int, source: str) -> str:
    if number == 1:
        return f"1 {source}"
    return f"{number} {source}; the first one hashes API keys, and keys are recognised by all of them"


def check_tools(settings: Settings) -> Iterator[Finding]:
    """What the local broker can be run with. Nothing where brokers are given."""
    if settings.kafka is not None:
        return
    match availability(settings.data_dir):
        case Available(detail=detail):
            yield Finding("tools", "ok", f"the local broker can be {detail}")
        case Missing(reason=reason, what_to_do=what_to_do):
            yield Finding("tools", "wrong", f"no local broker: {reason}", what_to_do)

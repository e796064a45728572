"""What each process of a deployment on this machine is given: variables, ports, a folder for logs."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from schemas.config.loading import hmac_secrets
from schemas.config.settings import Settings
from schemas.config.sources import variable


def variables(given: Mapping[str, Any]) -> dict[str, str]:
    """Settings as environment variables. A variable that names a file with the same setting is emptied."""
    named = {variable(name): str(value) for name, value in given.items()}
    return named | {f"{name}_FILE": "" for name in named}


def worker_variables(settings: Settings, number: int) -> dict[str, str]:
    """The variables of a worker. RocksDB's files have one owner, so every worker but the first has its own data directory."""
    if number == 1:
        return {}
    return variables(
        {
            "data_dir": settings.data_dir / f"worker-{number}",
            # What it would read in the shared data directory.
            "kafka": settings.brokers,
            "generation": settings.generation,
            "secrets": ",".join(secret.decode() for secret in hmac_secrets(settings)),
        }
    )


def log_dir(settings: Settings) -> Path:
    """The folder for the processes' logs, one for each generation: two may run at the same time."""
    logs = settings.data_dir / "logs"
    return logs if settings.generation == 1 else logs / f"generation-{settings.generation}"


def free_ports(host: str, first: int) -> Iterator[int]:
    """Yield ports from `first` on that nothing listens on."""
    for port in range(first, 65536):
        with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        yield port

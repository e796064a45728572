"""Keeps the demo apart from all other data: its own directory, ports, secret, and on given brokers its own topics."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from deploy.local.process.directory_lock import read_holder
from deploy.services import topics
from deploy.stack.environment import free_ports
from schemas.config.settings import Settings
from schemas.errors import DeploymentError

#: Fixed, so that a seed gives the same hashes of API keys everywhere. Worth nothing elsewhere.
DEMO_SECRET: Final = "the demo needs no secret"  # noqa: S105 - on purpose
#: Inside the data directory. Every run starts with an empty one.
DEMO_DIRECTORY: Final = "demo"


def isolated(settings: Settings) -> dict[str, Any]:
    """The settings in which the demo differs."""
    broker_port = next(free_ports("127.0.0.1", settings.broker_port))
    clickhouse_ports = free_ports("127.0.0.1", settings.clickhouse_port)
    apart: dict[str, Any] = {
        "data_dir": settings.data_dir / DEMO_DIRECTORY,
        "secrets": DEMO_SECRET,
        "broker_port": broker_port,
        "clickhouse_port": next(port for port in clickhouse_ports if port != broker_port),
    }
    if settings.kafka is not None:
        run = uuid4().hex[:8]
        apart |= {"topic_prefix": f"{settings.topic_prefix}demo-{run}.", "app_id": f"{settings.app_id}-demo-{run}"}
    return apart


def remove_last_run(directory: Path) -> None:
    """Remove the data of the last run. Raises DeploymentError when it still runs."""
    for service in directory.glob("*/"):
        holder = read_holder(service)
        if holder is not None and holder.is_alive:
            raise DeploymentError(
                f"a demo is up already: process {holder.pid} serves {service.name} at {holder.address}; end it first"
            )
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def topics_removed(settings: Settings) -> Iterator[None]:
    """Delete the demo's topics at the end, on brokers that it has not started itself."""
    try:
        yield
    finally:
        if settings.kafka is not None:
            with topics.administration(settings) as client:
                topics.delete_topics(client, (settings.topic_prefix, settings.app_id))

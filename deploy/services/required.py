"""The broker and ClickHouse that a command needs. Local ones must belong to its data directory, never to another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console

from deploy.local.kafka.broker import serves
from deploy.local.process.directory_lock import read_holder
from deploy.services.kafka_login import login_refused
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from sinks.clickhouse import Address


def broker_runs(settings: Settings) -> bool:
    holder = read_holder(settings.data_dir / "kafka")
    return holder is not None and holder.is_alive and holder.address == settings.brokers and serves(holder.address)


def running_clickhouse(settings: Settings) -> str | None:
    """The URL of the embedded ClickHouse of the data directory, at any port; None when it does not run."""
    from deploy.local.clickhouse.service import answers

    holder = read_holder(settings.data_dir / "clickhouse")
    if holder is not None and holder.is_alive and answers(holder.address):
        return holder.address
    return None


def require_broker(settings: Settings) -> None:
    """Raise DeploymentError when Kafka is the local broker and does not run, or when the brokers refuse the login."""
    if settings.kafka is None and not broker_runs(settings):
        raise DeploymentError(
            f"no local Kafka runs for {shown_path(settings.data_dir)} at {settings.brokers}; start it with `firstcall up` or"
            " `firstcall broker`, or name brokers in FIRSTCALL_KAFKA"
        )
    refused = login_refused(settings)
    if refused:
        raise DeploymentError(refused)


def require_clickhouse(settings: Settings) -> None:
    """Raise DeploymentError when ClickHouse is the embedded one and does not run at its port."""
    if settings.clickhouse is None and running_clickhouse(settings) != f"http://127.0.0.1:{settings.clickhouse_port}":
        raise DeploymentError(
            f"no embedded ClickHouse runs for {shown_path(settings.data_dir)} at port {settings.clickhouse_port}; start it with"
            " `firstcall up` or `firstcall clickhouse`, or name a server in FIRSTCALL_CLICKHOUSE"
        )


def shown_path(path: Path) -> Path:
    """A path relative to the current directory, if it is inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@contextmanager
def reachable_clickhouse(settings: Settings, console: Console) -> Iterator[Settings]:
    """Settings whose ClickHouse runs. The embedded one is started meanwhile if it does not."""
    if settings.clickhouse is not None:
        yield settings
        return
    from deploy.local.clickhouse import LocalClickHouse

    with ExitStack() as started:
        url = running_clickhouse(settings)
        if url is None:
            with console.status("Starting the embedded ClickHouse for this …"):
                url = started.enter_context(LocalClickHouse(settings.data_dir)).url
        yield settings.model_copy(update={"clickhouse": SecretStr(f"{url}/{Address.parse(url).database}")})

"""What all commands share: where they print, and how they end when something is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console

from schemas.configuration import SettingsError, load_settings
from schemas.definitions import Definitions, DefinitionsError
from schemas.definitions import load as load_definitions
from schemas.settings import Settings

#: The width of what is not printed on a terminal: tables keep their headings whole in files and pipes.
PIPE_WIDTH = 120

out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command: code 1 for something wrong with what runs, 2 for something wrong with what was given."""
    err.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def settings_or_exit() -> Settings:
    """The settings, or the end of the command with a line for each wrong one."""
    try:
        return load_settings()
    except SettingsError as error:
        fail(f"Firstcall does not start with these settings:\n{error}", 2)


def definitions_or_exit(settings: Settings) -> Definitions:
    """The metric definitions, or the end of the command with a line for each wrong field."""
    try:
        return load_definitions(settings.config)
    except DefinitionsError as error:
        fail(str(error), 2)


@contextmanager
def failures_told() -> Iterator[None]:
    """Tell a person what a deployment can go wrong with, without a traceback. All else is a bug, and gets one."""
    from confluent_kafka import KafkaException
    from kafka.errors import KafkaError

    from deploy.claim import ServiceError
    from deploy.in_process import NotEmptyError
    from deploy.processes import StartError
    from sinks.connection import ClickHouseError

    try:
        yield
    except (SettingsError, DefinitionsError) as error:
        fail(str(error), 2)
    except (StartError, ServiceError, NotEmptyError, ClickHouseError) as error:
        fail(str(error))
    except (KafkaError, KafkaException) as error:
        fail(f"Kafka: {error}. `firstcall doctor` says more.")

"""What all commands share: where they print, and how they end when something is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

import typer

from deploy.stack.terminal import Terminal
from schemas.errors import ConfigurationError, FirstcallError

if TYPE_CHECKING:
    from rich.progress import Progress

    from schemas.config.definitions import Definitions
    from schemas.config.settings import Settings

#: The width of what is not printed on a terminal: tables keep their headings whole in files and pipes.
PIPE_WIDTH = 120

out = Terminal(width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Terminal(stderr=True)


def progress(before: str, *after: str, transient: bool = False) -> Progress:
    """A progress bar on standard error, with the time that has passed. The texts beside the bar may use `{task}`."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TimeElapsedColumn

    return Progress(SpinnerColumn(), before, BarColumn(), *after, TimeElapsedColumn(), console=err, transient=transient)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command: code 1 for something wrong with what runs, 2 for something wrong with what was given."""
    err.plain(message, "red")
    raise typer.Exit(code)


def settings_or_exit() -> Settings:
    """The settings. Ends the command with a line for each wrong one."""
    from schemas.config.loading import load_settings

    try:
        return load_settings()
    except ConfigurationError as error:
        fail(f"Firstcall does not start with these settings:\n{error}", 2)


def definitions_of(settings: Settings) -> Definitions:
    """The metric definitions. Raises ConfigurationError with a line for each wrong field."""
    from schemas.config.definitions import load

    return load(settings.config)


def time_or_exit(option: str, given: str) -> datetime:
    """The time that an option gives, UTC unless it names a zone. Ends the command if it is none."""
    try:
        time = datetime.fromisoformat(given)
    except ValueError:
        fail(f"{option} {given}: give a time as 2026-05-18 or 2026-05-18T09:00:00Z", 2)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@contextmanager
def reported_failures() -> Iterator[None]:
    """Around each command: show a failure of the deployment or of what was given in a line, and end.

    Any other exception is a bug: a traceback.
    """
    try:
        yield
    except ConfigurationError as error:
        fail(str(error), 2)
    except FirstcallError as error:
        fail(str(error))
    except Exception as error:
        from confluent_kafka import KafkaException
        from kafka.errors import KafkaError

        if not isinstance(error, KafkaError | KafkaException):
            raise
        fail(f"Kafka: {error}. `firstcall doctor` shows what is wrong and what to do.")

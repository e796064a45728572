"""What all commands share: where they print, and how they end when something is wrong."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from schemas.config.definitions import Definitions
from schemas.config.definitions import load as load_definitions
from schemas.config.loading import load_settings
from schemas.config.settings import Settings
from schemas.errors import ConfigurationError, FirstcallError

#: The width of what is not printed on a terminal: tables keep their headings whole in files and pipes.
PIPE_WIDTH = 120

#: What a terminal acts on instead of showing it. Rows hold what anyone may have sent.
_ACTED_ON: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Terminal(Console):
    """A console that shows control characters as they are written in Python, whoever's text they are in."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the pieces to print: their styles are Firstcall's, their texts are just texts."""
        for piece in super().render(renderable, options):
            if piece.control or not _ACTED_ON.search(piece.text):
                yield piece
            else:
                text = _ACTED_ON.sub(lambda found: found[0].encode("unicode_escape").decode(), piece.text)
                yield Segment(text, piece.style)


out = Terminal(width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Terminal(stderr=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command: code 1 for something wrong with what runs, 2 for something wrong with what was given."""
    err.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def settings_or_exit() -> Settings:
    """The settings, or the end of the command with a line for each wrong one."""
    try:
        return load_settings()
    except ConfigurationError as error:
        fail(f"Firstcall does not start with these settings:\n{error}", 2)


def definitions_or_exit(settings: Settings) -> Definitions:
    """The metric definitions, or the end of the command with a line for each wrong field."""
    try:
        return load_definitions(settings.config)
    except ConfigurationError as error:
        fail(str(error), 2)


@contextmanager
def reported_failures() -> Iterator[None]:
    """Tell a person what a deployment can go wrong with, without a traceback. All else is a bug, and gets one."""
    from confluent_kafka import KafkaException
    from kafka.errors import KafkaError

    try:
        yield
    except ConfigurationError as error:
        fail(str(error), 2)
    except FirstcallError as error:
        fail(str(error))
    except (KafkaError, KafkaException) as error:
        fail(f"Kafka: {error}. `firstcall doctor` says more.")

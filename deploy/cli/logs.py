"""One way to log for all processes: structured lines on standard error, console for people, JSON for machines.

No line is written with a secret. One that slips in, as with an error of a library, is blacked out here.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog

from schemas.config.settings import Settings

# Their lines at level info are of no use to operators. Faust logs under `streams` for subclasses defined there; Firstcall's own
# loggers begin with `firstcall`.
QUIET = ("streams", "faust", "mode", "aiokafka", "kafka", "librdkafka", "clickhouse_connect", "urllib3", "asyncio")


#: What stands in the place of a secret.
BLACKED_OUT = "********"
#: A shorter secret could be a part of any word; settings refuse secrets that name API keys if they are shorter than 16.
SHORTEST_HIDDEN = 6


def configure(settings: Settings) -> None:
    """Send structlog's lines and those of the standard library's loggers to standard error, in one form."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(settings),
                _blackening(settings),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _renderer(settings: Settings) -> Any:
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    if console:
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer(sort_keys=False)


def _blackening(settings: Settings) -> structlog.types.Processor:
    """Blacks out the secrets of the settings in finished lines."""
    hidden = sorted({form for secret in _secrets(settings) for form in _forms(secret)}, key=len, reverse=True)

    def black_out(_: Any, __: str, line: Any) -> Any:
        for secret in hidden:
            line = line.replace(secret, BLACKED_OUT)
        return line

    return black_out


def _secrets(settings: Settings) -> Iterator[str]:
    yield from (secret.get_secret_value() for secret in (*settings.secrets, *settings.retired_secrets))
    if settings.kafka_options.sasl_password is not None:
        yield settings.kafka_options.sasl_password.get_secret_value()
    yield urlsplit(settings.clickhouse_address).password or ""
    generated = settings.data_dir / "secret"
    if not settings.secrets and generated.is_file():
        yield from generated.read_text("utf-8").split()


def _forms(secret: str) -> set[str]:
    """How a secret may stand in a line: as it is, out of an address, and as JSON writes it."""
    forms = {secret, unquote(secret)}
    forms |= {json.dumps(form)[1:-1] for form in forms}
    return {form for form in forms if len(form) >= SHORTEST_HIDDEN}

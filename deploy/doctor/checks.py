"""The checks of `firstcall doctor`, by name, in the order of what needs what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from deploy.doctor.finding import Finding
from deploy.doctor.installation import check_configuration, check_python, check_tools
from deploy.doctor.services import (
    check_clickhouse,
    check_kafka,
    check_lag,
    check_ready,
    check_sink,
    check_worker,
)
from schemas.config.settings import Settings

CHECKS: Final[dict[str, Callable[[Settings], Iterator[Finding]]]] = {
    "python": check_python,
    "configuration": check_configuration,
    "tools": check_tools,
    "kafka": check_kafka,
    "worker": check_worker,
    "sink": check_sink,
    "lag": check_lag,
    "ready": check_ready,
    "clickhouse": check_clickhouse,
}

#: Of the one process that listens on the metrics port: only when asked for.
_OF_ONE_PROCESS: Final = "ready"


def examine(settings: Settings, checks: Sequence[str] = ()) -> Iterator[Finding]:
    """Run the named checks, by default all that are not about one process."""
    for name, check in CHECKS.items():
        if name in checks or (not checks and name != _OF_ONE_PROCESS):
            yield from check(settings)

"""Moments as people write them: 2026-01-31, 2026-01-31T10:00:00Z, or 7d before the latest event."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_BEFORE: Final = re.compile(r"(\d{1,6})(h|d|w)")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def is_relative(text: str) -> bool:
    """Whether the moment depends on the latest event."""
    return _BEFORE.fullmatch(text) is not None


def moment(text: str, latest: datetime) -> str:
    """The moment in the form that the queries take: UTC, to the millisecond. `latest`: what `7d` is counted back from.

    A date is its first moment; a time without an offset is UTC. Raises ValueError.
    """
    text = text.strip()
    before = _BEFORE.fullmatch(text)
    try:
        if before:
            found = latest - int(before[1]) * _UNITS[before[2]]
        else:
            found = datetime.fromisoformat(text)
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time: give a date (2026-01-31), a time (2026-01-31T10:00:00Z), or how long before the latest"
            " event (24h, 7d, 4w)"
        ) from None
    # Days of ClickHouse end in June 2149.
    if not 1970 <= found.year < 2149:
        raise ValueError(f"{text!r} lies outside of 1970 to 2148")
    return found.strftime("%Y-%m-%d %H:%M:%S.") + f"{found.microsecond // 1000:03d}"

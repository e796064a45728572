"""Values of an answer as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

#: Below it the decimals that numbers are told with show nothing of them, as of a probability.
LEAST: Final = 0.001


def told(values: Sequence[Any]) -> list[str]:
    """The values of a column. Times that are all midnights are told as days, and whole minutes without seconds."""
    times = [value for value in values if isinstance(value, datetime)]
    precision = "seconds"
    if times and not any(time.second for time in times):
        precision = "minutes" if any(time.hour or time.minute for time in times) else "days"
    return [_told(value, precision) for value in values]


def _told(value: Any, precision: str = "seconds") -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if 0 < abs(value) < LEAST:
            return f"{value:.2g}"
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        plain = value.replace(tzinfo=None)
        return f"{plain:%Y-%m-%d}" if precision == "days" else plain.isoformat(sep=" ", timespec=precision)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_told(part) for part in value)
    return str(value)

"""Values of an answer as texts for a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

#: A smaller number, as a probability, is shown by its leading digits: four decimals would round it to 0.
LEAST: Final = 0.001


def texts(values: Sequence[Any]) -> list[str]:
    """The values of a column. Times are as exact as the column: days if all are midnights, minutes without seconds."""
    times = [value for value in values if isinstance(value, datetime)]
    precision = "seconds"
    if times and not any(time.second for time in times):
        precision = "minutes" if any(time.hour or time.minute for time in times) else "days"
    return [_text(value, precision) for value in values]


def _text(value: Any, precision: str = "seconds") -> str:
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
        return ", ".join(_text(part) for part in value)
    return str(value)

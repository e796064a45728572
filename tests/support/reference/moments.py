"""Moments as SDKs, databases and programs write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

OFFSET = r"(?P<o> ?([Zz]|UTC|GMT|[+-]\d\d(:?\d\d)?))?"
FORMS = [
    re.compile(form, re.ASCII)
    for form in (
        r"(?P<y>\d{4})-(?P<mo>\d\d)-(?P<d>\d\d)",
        rf"(?P<y>\d{{4}})-(?P<mo>\d\d)-(?P<d>\d\d)[Tt ](?P<h>\d\d):(?P<mi>\d\d){OFFSET}",
        rf"(?P<y>\d{{4}})-(?P<mo>\d\d)-(?P<d>\d\d)[Tt ](?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)([.,](?P<f>\d+))?{OFFSET}",
        r"(?P<y>\d{4})(?P<mo>\d\d)(?P<d>\d\d)[Tt](?P<h>\d\d)(?P<mi>\d\d)(?P<s>\d\d)[Zz]",
    )
]


def is_no_time(value: Any) -> bool:
    """Whether a program wrote it for no time at all."""
    if isinstance(value, str):
        return re.match(r"\s*(0000-00-00|0001-)", value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def milliseconds_of(value: Any) -> int | None:
    """The moment in ms since 1970, if it is one that can be read without a guess."""
    if isinstance(value, float):
        value = repr(value) if abs(value) < 1e13 else ""
        value = value.removesuffix(".0")
        whole, _, fraction = value.partition(".")
        value = whole if len(whole) == 13 else value
        if fraction and len(whole) == 10:
            return round(float(value) * 1000)
    elif isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    value = value.strip()
    if re.fullmatch(r"[1-9]\d{12}", value, re.ASCII):
        return int(value)
    if re.fullmatch(r"[1-9]\d{9}(\.\d+)?", value, re.ASCII):
        return int(Decimal(value) * 1000)
    parts = next((found.groupdict() for form in FORMS if (found := form.fullmatch(value))), None)
    return None if parts is None else _moment(parts)


def _moment(parts: dict[str, str | None]) -> int | None:
    year, month, day, hour, minute, second = (int(parts.get(field) or 0) for field in ("y", "mo", "d", "h", "mi", "s"))
    leap = second == 60
    try:
        at = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    except ValueError:
        return None
    milliseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    offset = (parts.get("o") or "").strip().replace(":", "")
    if offset[:1] in ("+", "-"):
        hours, minutes = int(offset[1:3]), int(offset[3:] or 0)
        if hours > 23 or minutes > 59:
            return None
        milliseconds -= int(offset[0] + "1") * (hours * 60 + minutes) * 60_000
    if leap:
        return milliseconds + 1000
    return milliseconds + int(((parts.get("f") or "") + "000")[:3])

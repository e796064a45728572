"""What every simulated event carries: its message id and its times as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

Event = dict[str, Any]
#: Makes the event of (time, arrival, subject, detail); both times in ms since 1970 UTC.
Writer = Callable[[int, int, Any, Any], Event]

DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000

_MINUTES = tuple(f"{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440))
_SECONDS = tuple(f"{ms // 1000:02d}.{ms % 1000:03d}Z" for ms in range(MINUTE_MS))


class Stamps:
    """Numbers the messages of one population, and writes times. Ids follow the order of writing; no two seeds share one."""

    def __init__(self, rng: Random) -> None:
        self._prefix = f"{rng.getrandbits(32):08x}-"
        self._written = 0
        self._days: dict[int, str] = {}

    def message_id(self) -> str:
        self._written += 1
        return f"{self._prefix}{self._written:09x}"

    def time(self, at: int) -> str:
        """RFC 3339 with milliseconds, UTC, of `at` in ms since 1970."""
        day, rest = divmod(at, DAY_MS)
        text = self._days.get(day)
        if text is None:
            text = self._days[day] = datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%dT")
        minute, rest = divmod(rest, MINUTE_MS)
        return text + _MINUTES[minute] + _SECONDS[rest]

    def sent_again(self, event: Event, arrival: int, jitter: int) -> Event:
        """An event as a retry sends it: same message id and content; where clocks are given, those of the retry.

        The corrected time of the copy differs from that of the first by up to `jitter` ms.
        """
        if "sentAt" not in event:
            return event
        waited = arrival - milliseconds(event["receivedAt"])
        sent = milliseconds(event["sentAt"]) + waited - jitter
        return event | {"sentAt": self.time(sent), "receivedAt": self.time(arrival)}


def milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)

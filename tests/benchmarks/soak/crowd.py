"""Developers who have all signed up and go on calling: events without end, while the subjects of state stay the same.

Only the first month has anything new in it. Each later one is the first again, moved by 28 days: the same people, devices and keys,
other messages. So what grows for ever is what time itself adds: an hour bit, a link of a day, a visitor's event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from deploy.simulator import Population

DAYS: Final = 28
#: The first month ends here. There is room for eighty months before any of them would lie in the future.
UNTIL: Final = datetime(2020, 2, 1, tzinfo=UTC)

_DAY: Final = re.compile(rb"\b20\d\d-\d\d-\d\d(?=T)")
_ID: Final = re.compile(rb'"message_?[iI]d":"([0-9a-f]{8}-)')


class Crowd:
    """So many developers, and so many events of theirs a month; the same each time. One month is held in memory."""

    def __init__(self, developers: int, events_a_month: int) -> None:
        people = Population(seed=1, developers=developers, days=DAYS, until=UNTIL, target_events=events_a_month, bad=20)
        self._month = list(people.messages())
        prefixes = {found[1] for _, value in self._month[:1_000] if (found := _ID.search(value))}
        assert len(prefixes) == 1, f"one prefix of message ids: {prefixes}"
        self._prefix = prefixes.pop()

    @property
    def events_a_month(self) -> int:
        """How many messages a month has, exactly."""
        return len(self._month)

    def messages(self) -> Iterator[tuple[str, bytes]]:
        """Every message with its topic, for ever."""
        yield from self._month
        month = 1
        while True:
            days, prefix = _Days(month), b"%08x-" % month
            for topic, value in self._month:
                yield topic, _DAY.sub(days.moved, value.replace(self._prefix, prefix))
            month += 1


class _Days(dict[bytes, bytes]):
    """Days of the first month, and those of a later one in their place."""

    def __init__(self, month: int) -> None:
        super().__init__()
        self._by = timedelta(days=DAYS * month)

    def __missing__(self, day: bytes) -> bytes:
        try:
            moved = (date.fromisoformat(day.decode()) + self._by).isoformat().encode()
        except (ValueError, OverflowError):
            # The day of a message that is to be refused.
            moved = day
        self[day] = moved
        return moved

    def moved(self, found: re.Match[bytes]) -> bytes:
        return self[found[0]]

"""The order in which simulated events arrive: near the order of their times, with late ones and re-sent ones."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random
from typing import Any

from deploy.simulator.stamps import DAY_MS, Event, Stamps, Writer

#: arrival, a number that keeps the order, time, and what is written of whom.
Entry = tuple[int, int, int, Writer, Any, Any]


class Timeline:
    """Plans events day by day and writes them only when their turn comes.

    It holds the plan of one day and the few late events of the days ahead; how many events there are in all does not matter.
    """

    def __init__(self, start: int, days: int, stamps: Stamps, rng: Random) -> None:
        self.start = start
        self.until = start + days * DAY_MS
        self.planned = 0
        self._today = start
        self._days: list[list[Entry]] = [[] for _ in range(days)]
        self._stamps = stamps
        self._random = rng.random
        self._again: list[tuple[int, int, Event]] = []
        self._sent_again = 0

    def plan(self, time: int, write: Writer, subject: Any, detail: Any, delay_ms: int = 0) -> None:
        """Plan an event of `time` that arrives `delay_ms` later (0: as fast as networks are).

        What would happen after the end of the simulated time is left out; what would arrive after it arrives just before.
        """
        if not self.start <= time < self.until:
            return
        # Not before today: what leads up to something just after midnight is planned when its day is over.
        arrival = max(self._today, min(time + (delay_ms or 30 + int(self._random() ** 4 * 4000)), self.until - 1))
        self.planned += 1
        self._days[(arrival - self.start) // DAY_MS].append((arrival, self.planned, time, write, subject, detail))

    def lateness(self) -> int:
        """How long an event waits that could not be sent at once, in ms: minutes mostly, at times days."""
        return 60_000 + int(self._random() ** 5 * 3 * DAY_MS)

    def waiting(self, day: int) -> int:
        """How many events are planned to arrive on `day`."""
        return len(self._days[day])

    def emit(self, day: int, copies: int) -> Iterator[Event]:
        """Write the events that arrive on `day` and `copies` re-sent ones, in order of arrival, and drop them."""
        entries, self._days[day] = self._days[day], []
        self._today = self.start + (day + 1) * DAY_MS
        entries.sort()
        copies = copies if entries else 0
        self.planned += copies
        twice = iter(sorted(int(self._random() * len(entries)) for _ in range(copies)))
        next_twice = next(twice, -1)
        again, last = self._again, self.until - 1
        for index, (arrival, _, time, write, subject, detail) in enumerate(entries):
            while again and again[0][0] <= arrival:
                yield heappop(again)[2]
            event = write(time, arrival, subject, detail)
            yield event
            while index == next_twice:
                next_twice = next(twice, -1)
                later = min(arrival + 1_000 + int(self._random() ** 6 * DAY_MS), last)
                by_client = self._random() < 0.5
                copy = self._stamps.sent_again(event, later, int(self._random() * 60)) if by_client else event
                self._sent_again += 1
                heappush(again, (later, self._sent_again, copy))
        if day == len(self._days) - 1:
            while again:
                yield heappop(again)[2]

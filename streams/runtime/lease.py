"""The right to speak for a partition, which another worker may have taken while this one stood still.

A worker that is stopped for longer than the consumer group waits (a suspended machine, SIGSTOP) loses its partitions without
noticing. Going on with the batch it was in, it would write over the newer state of the next owner. So time is measured at
every step of a batch and every second in between, and a gap that is too long ends the worker.

A wall clock that is set back makes the Kafka client stand still: it waits until times of day, so a wait that had a tenth of a second
left takes as much longer as the clock went back. Only a new start helps.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, time
from typing import Final

from schemas.errors import FencedError

#: What clocks are set back by in daily life, and does no harm.
SET_BACK_SECONDS: Final = 5.0


class WallClock:
    """Tells when the wall clock is set back, against the clock that only counts seconds."""

    def __init__(self, wall: Callable[[], float] = time, steady: Callable[[], float] = monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._ahead = wall() - steady()

    def check(self) -> None:
        """Raise FencedError if it has been set back since the last check."""
        before, self._ahead = self._ahead, self._wall() - self._steady()
        if before - self._ahead > SET_BACK_SECONDS:
            raise FencedError(
                f"the wall clock was set back by {before - self._ahead:,.0f} s, and the Kafka client waits as much longer; start it again"
            )


class Lease:
    """Held from the first `check` on, as long as the next ones come at least every `seconds`."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._checked_at: float | None = None
        self._longest_gap = 0.0

    def check(self) -> None:
        """Raise FencedError if the worker has ever stood still for too long."""
        now = self._clock()
        if self._checked_at is not None:
            self._longest_gap = max(self._longest_gap, now - self._checked_at)
        self._checked_at = now
        if self._longest_gap > self._seconds:
            raise FencedError(
                f"the worker stood still for {self._longest_gap:.0f} s, and after {self._seconds:.0f} s its partitions may have "
                "gone to another one; start it again"
            )

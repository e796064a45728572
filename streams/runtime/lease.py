"""Ends a worker that was suspended for so long that its partitions may have gone to another one, or whose wall clock was set back.

A suspended worker (a sleeping machine, SIGSTOP) does not notice that the consumer group gave its partitions away. If it finished
its batch, it would write over the newer state of the next owner. So time is measured at every step of a batch and every
second in between, and a gap that is too long ends the worker.

The Kafka client waits until times of day. If the wall clock is set back, a wait of a tenth of a second takes as much longer as the clock
went back. Only a restart helps.

A worker may be suspended between a check and its write. `fencing.py` keeps that write out of the state.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, time
from typing import Final

from schemas.errors import FencedError

#: Corrections of the clock up to this do no harm.
SET_BACK_SECONDS: Final = 5.0


class WallClock:
    """Compares the wall clock with the monotonic clock."""

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
    """A time limit between checks, which begins with the first. `seconds`: the session timeout of the consumer group."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._checked_at: float | None = None
        self._longest_gap = 0.0

    def check(self) -> None:
        """Raise FencedError if there was ever too long a gap between checks."""
        now = self._clock()
        if self._checked_at is not None:
            self._longest_gap = max(self._longest_gap, now - self._checked_at)
        self._checked_at = now
        if self._longest_gap > self._seconds:
            raise FencedError(
                f"the worker was suspended for {self._longest_gap:.0f} s, and after {self._seconds:.0f} s its partitions may have "
                "gone to another one; start it again"
            )

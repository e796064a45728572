"""The right to speak for a partition, which another worker may have taken while this one stood still.

A worker that is stopped for longer than the consumer group waits (a suspended machine, SIGSTOP) loses its partitions without
noticing. Going on with the batch it was in, it would write over the newer state of the next owner. So time is measured at
every step of a batch and every second in between, and a gap that is too long ends the worker.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class LeaseLostError(RuntimeError):
    """The worker stood still for so long that its partitions may be another one's."""


class Lease:
    """Held from the first `check` on, as long as the next ones come at least every `seconds`."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._checked_at: float | None = None
        self._longest_gap = 0.0

    def check(self) -> None:
        """Raise LeaseLostError if the worker has ever stood still for too long."""
        now = self._clock()
        if self._checked_at is not None:
            self._longest_gap = max(self._longest_gap, now - self._checked_at)
        self._checked_at = now
        if self._longest_gap > self._seconds:
            raise LeaseLostError(
                f"the worker stood still for {self._longest_gap:.0f} s, and after {self._seconds:.0f} s its partitions may have "
                "gone to another one; start it again"
            )

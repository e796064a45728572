"""Which locations have work to do and make no progress: the one definition of "stuck", for partitions and phases alike.

Only time in which progress was possible counts. While that is unknown (the brokers do not answer, the machine slept) the
clocks are reset, so a fault elsewhere never looks like a stall.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Location = TypeVar("Location", bound=Hashable)


class StallDetector(Generic[Location]):
    """How long each location has made no progress. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._since: dict[Location, tuple[Hashable, float]] = {}

    def observe(self, now: float, progress: Mapping[Location, Hashable]) -> dict[Location, float]:
        """How long the progress of each location has been the same, in seconds.

        `progress` holds the locations that have work to do. The clock of one that is missing is reset: its work is done.
        """
        before = self._since
        self._since = {}
        for location, value in progress.items():
            known = before.get(location)
            self._since[location] = known if known is not None and known[0] == value else (value, now)
        return {location: now - since for location, (_, since) in self._since.items()}

    def reset(self) -> None:
        self._since = {}

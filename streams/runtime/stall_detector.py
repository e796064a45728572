"""Which places have not gone on though there is more: what "stuck" means, whatever the place is.

Only time in which going on was possible counts. While that is not known (the brokers do not answer, the machine slept) the
clocks start anew, so a fault of something else never looks like one of the place.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Location = TypeVar("Location", bound=Hashable)


class StallDetector(Generic[Location]):
    """Since when each place stands still. Times are seconds of one clock, which never goes back."""

    def __init__(self) -> None:
        self._since: dict[Location, tuple[Hashable, float]] = {}

    def observe(self, now: float, marks: Mapping[Location, Hashable]) -> dict[Location, float]:
        """For how long the mark of each place has been the same, in seconds.

        `marks` has the places that have work to do. One that is not among them any more has done it, and starts anew.
        """
        before = self._since
        self._since = {}
        for place, mark in marks.items():
            known = before.get(place)
            self._since[place] = known if known is not None and known[0] == mark else (mark, now)
        return {place: now - since for place, (_, since) in self._since.items()}

    def forget(self) -> None:
        """Start all clocks anew."""
        self._since = {}

"""Signs of life of a process' parts: loops that must turn, threads that must not end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic


class Heartbeats:
    """Which loops turn and which threads live. Any thread may beat, and any may ask."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._loops: dict[str, tuple[float, float]] = {}
        self._threads: list[threading.Thread] = []

    def expect(self, loop: str, within_seconds: float) -> None:
        """From now on the loop must beat at least every so many seconds."""
        self._loops[loop] = (within_seconds, self._clock())

    def beat(self, loop: str) -> None:
        """The loop turns. One that is not expected may beat as well."""
        expected = self._loops.get(loop)
        if expected is not None:
            self._loops[loop] = (expected[0], self._clock())

    def watch(self, thread: threading.Thread) -> None:
        """From now on the thread must live. It is started already."""
        self._threads.append(thread)

    def renew(self) -> None:
        """Let all have beaten just now: the process itself stood still, so nobody could."""
        for loop in list(self._loops):
            self.beat(loop)

    def missing(self) -> list[str]:
        """What does not live, a line for each: nothing if all is well."""
        now = self._clock()
        late = [
            f"{loop} has not turned for {now - at:.0f} s"
            for loop, (within, at) in list(self._loops.items())
            if now - at > within
        ]
        return late + [f"the thread {thread.name} has ended" for thread in self._threads if not thread.is_alive()]

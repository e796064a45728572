"""Signs of life inside a process: loops that must turn, threads that must not end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic


class Heartbeats:
    """Which loops turn and which threads live. All methods are safe from any thread."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._loops: dict[str, tuple[float, float]] = {}
        self._threads: list[threading.Thread] = []

    def expect(self, loop: str, within_seconds: float) -> None:
        """Require a beat of the loop at least every so many seconds from now on."""
        self._loops[loop] = (within_seconds, self._clock())

    def beat(self, loop: str) -> None:
        """Record that the loop turns. A loop that is not expected may beat as well."""
        expected = self._loops.get(loop)
        if expected is not None:
            self._loops[loop] = (expected[0], self._clock())

    def watch(self, thread: threading.Thread) -> None:
        """Require that a started thread lives from now on."""
        self._threads.append(thread)

    def renew(self) -> None:
        """Count a beat for all loops: the whole process was suspended, so none could beat."""
        for loop in list(self._loops):
            self.beat(loop)

    def missing(self) -> list[str]:
        """One line for each loop or thread that is dead; empty if all live."""
        now = self._clock()
        late = [
            f"{loop} has not turned for {now - at:.0f} s"
            for loop, (within, at) in list(self._loops.items())
            if now - at > within
        ]
        return late + [f"the thread {thread.name} has ended" for thread in self._threads if not thread.is_alive()]

"""Restarts child processes that have ended or hang, with growing pauses, and gives up after too many restarts.

No library does it: supervisord and circus are daemons with configuration files, not a part of the command that ends with it.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from typing import Final

from deploy.local.process.children import Child, Children

#: The pause before each restart. After as many restarts within `COUNTED_SECONDS` the process is given up.
PAUSES_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
COUNTED_SECONDS: Final = 600.0
#: The exit code for wrong settings or arguments, which a restart does not change.
EXIT_WRONG_SETTINGS: Final = 2
PROBE_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 2.0
#: A process that was healthy once and has not been for so long hangs.
UNHEALTHY_SECONDS: Final = 25.0


class Restarts:
    """When one process may be restarted. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._at: deque[float] = deque()

    def pause(self, now: float) -> float | None:
        """Count a restart and return the pause before it; None after too many restarts."""
        while self._at and now - self._at[0] > COUNTED_SECONDS:
            self._at.popleft()
        if len(self._at) == len(PAUSES_SECONDS):
            return None
        pause = PAUSES_SECONDS[len(self._at)]
        self._at.append(now)
        return pause

    def __len__(self) -> int:
        """How many of them count."""
        return len(self._at)


class _Watched:
    def __init__(self, child: Child, now: float) -> None:
        self.child = child
        self.restarts = Restarts()
        self.start_at: float | None = None
        self.probed_at = now
        self.healthy_at: float | None = None


class Supervision:
    """Restarts children. `report` receives one line for the operator for each end and each restart."""

    def __init__(self, children: Children, report: Callable[[str], None]) -> None:
        self._children = children
        self._report = report
        self._watched: dict[str, _Watched] = {}

    def check(self) -> Child | None:
        """Restart children that have ended, after their pause, and end those that hang. Return one that is given up."""
        now = time.monotonic()
        for child in self._children.running:
            watched = self._watched.setdefault(child.name, _Watched(child, now))
            code = child.process.exit_code
            if code is None:
                self._probe(watched, now)
            elif watched.start_at is None:
                pause = None if code == EXIT_WRONG_SETTINGS else watched.restarts.pause(now)
                if pause is None:
                    return child
                watched.start_at = now + pause
                self._report(
                    f"{child.name} has ended with code {code}; starting it again in {pause:.0f} s "
                    f"({len(watched.restarts)} of {len(PAUSES_SECONDS)} times in {COUNTED_SECONDS / 60:.0f} minutes); log: {child.log}"
                )
            elif now >= watched.start_at:
                watched.start_at = watched.healthy_at = None
                child.start_again()
        return None

    def _probe(self, watched: _Watched, now: float) -> None:
        child = watched.child
        if child.url is None or now - watched.probed_at < PROBE_SECONDS:
            return
        problem = unhealthy(child.url)
        watched.probed_at = time.monotonic()
        if problem is None:
            watched.healthy_at = watched.probed_at
        elif watched.healthy_at is not None and watched.probed_at - watched.healthy_at > UNHEALTHY_SECONDS:
            self._report(f"{child.name} hangs ({problem}); ending it")
            child.process.end()


def unhealthy(url: str) -> str | None:
    """Why a process is not healthy, by its /healthz; None if it is."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=ANSWER_SECONDS):  # noqa: S310 - the URL is our own
            return None
    except urllib.error.HTTPError as error:
        return error.read(500).decode("utf-8", "replace").strip()
    except OSError as error:
        return f"no answer: {error}"

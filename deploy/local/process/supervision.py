"""Starts a process again that has ended or hangs, with growing pauses, and gives up when that does not help."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from typing import Final

from deploy.local.process.children import Child, Children, Ended

#: The pauses before it is started again; after as many starts within `COUNTED_SECONDS` it is given up.
PAUSES_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
COUNTED_SECONDS: Final = 600.0
#: A process that ends with this code was given something wrong, which another start does not change.
EXIT_WRONG_SETTINGS: Final = 2
PROBE_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 2.0
#: A process that has answered before and is not healthy for so long hangs.
UNHEALTHY_SECONDS: Final = 25.0


class Restarts:
    """When one process may be started again. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._at: deque[float] = deque()

    def pause(self, now: float) -> float | None:
        """How long to wait before it is started again; None if that has not helped often enough."""
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
    """Looks after children. `tell` gets one line for a person whenever one is ended or started again."""

    def __init__(self, children: Children, tell: Callable[[str], None]) -> None:
        self._children = children
        self._tell = tell
        self._watched: dict[str, _Watched] = {}

    def look(self) -> Ended | None:
        """Start again what has ended, once its pause is over, and end what hangs. What is given up is returned."""
        now = time.monotonic()
        for child in self._children.running:
            watched = self._watched.setdefault(child.name, _Watched(child, now))
            code = child.process.poll()
            if code is None:
                self._probe(watched, now)
            elif watched.start_at is None:
                pause = None if code == EXIT_WRONG_SETTINGS else watched.restarts.pause(now)
                if pause is None:
                    return child.ended(code)
                watched.start_at = now + pause
                self._tell(
                    f"{child.name} has ended with code {code}; starting it again in {pause:.0f} s "
                    f"({len(watched.restarts)} of {len(PAUSES_SECONDS)} times in {COUNTED_SECONDS / 60:.0f} minutes); log: {child.log}"
                )
            elif now >= watched.start_at:
                watched.start_at = watched.healthy_at = None
                self._children.start_again(child)
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
            self._tell(f"{child.name} hangs ({problem}); ending it")
            self._children.end(child)


def unhealthy(url: str) -> str | None:
    """What is wrong by a process' /healthz; None if nothing is."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=ANSWER_SECONDS):  # noqa: S310 - the URL is our own
            return None
    except urllib.error.HTTPError as error:
        return error.read(500).decode("utf-8", "replace").strip()
    except OSError as error:
        return f"no answer: {error}"

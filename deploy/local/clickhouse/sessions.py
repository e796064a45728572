"""Sessions of HTTP clients: what they set and their temporary tables, from one request to the next.

Most clients name a session and keep nothing in it. A session has a connection only from the first statement on that
leaves something behind; until then each request has a fresh one, to which no other request can have left anything.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

DEFAULT_TIMEOUT_SECONDS: Final = 60.0
LONGEST_TIMEOUT_SECONDS: Final = 3600.0
#: Beyond it the session that would expire first is closed: each holds a connection.
MOST_SESSIONS: Final = 500


@dataclass
class Session:
    """A connection that outlives its request. Only who holds `in_use` may use it."""

    connection: Any
    timeout_seconds: float
    expires_at: float
    in_use: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """The sessions that keep something, by id. Safe in threads."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Session | None:
        """The session of that id, if it keeps anything. Those that expired are closed first."""
        now = time.monotonic()
        with self._lock:
            for other, session in list(self._sessions.items()):
                if session.expires_at < now and session.in_use.acquire(blocking=False):
                    del self._sessions[other]
                    session.connection.close()
            found = self._sessions.get(name)
            if found is not None:
                found.expires_at = now + found.timeout_seconds
            return found

    def keep(self, name: str, connection: Any, timeout_seconds: float) -> None:
        """Make a connection the session's; a session of that id that came in between is closed."""
        timeout_seconds = min(timeout_seconds, LONGEST_TIMEOUT_SECONDS)
        with self._lock:
            before = self._sessions.pop(name, None)
            if len(self._sessions) >= MOST_SESSIONS:
                self._close_one()
            self._sessions[name] = Session(connection, timeout_seconds, time.monotonic() + timeout_seconds)
        if before is not None:
            with before.in_use:
                before.connection.close()

    def _close_one(self) -> None:
        """Close the session that would expire first, of those that nobody uses now."""
        for name, session in sorted(self._sessions.items(), key=lambda item: item[1].expires_at):
            if session.in_use.acquire(blocking=False):
                del self._sessions[name]
                session.connection.close()
                return

    def close(self) -> None:
        """Close all."""
        with self._lock:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()

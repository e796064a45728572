"""HTTP sessions: settings and temporary tables that last from one request to the next.

Most clients name a session and store nothing in it. A session gets a connection with the first statement that stores
something; until then each request has a fresh connection.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

DEFAULT_TIMEOUT_SECONDS: Final = 60.0
LONGEST_TIMEOUT_SECONDS: Final = 3600.0
#: Beyond it the idle session that would expire first is closed: each holds a connection.
MOST_SESSIONS: Final = 500


@dataclass
class Session:
    """A connection that outlives its request. Only the holder of `in_use` may use it."""

    connection: Any
    timeout_seconds: float
    expires_at: float
    in_use: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """The sessions with a connection, by id. Thread-safe."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Session | None:
        """The session of that id, if it has a connection. Expired sessions are closed first."""
        now = time.monotonic()
        with self._lock:
            for other, session in list(self._sessions.items()):
                if session.expires_at < now:
                    self._close_if_idle(other, session)
            found = self._sessions.get(name)
            if found is not None:
                found.expires_at = now + found.timeout_seconds
            return found

    def add(self, name: str, connection: Any, timeout_seconds: float) -> None:
        """Give a session its connection. A session of that id that another request added in between is closed."""
        timeout_seconds = min(timeout_seconds, LONGEST_TIMEOUT_SECONDS)
        with self._lock:
            before = self._sessions.pop(name, None)
            if len(self._sessions) >= MOST_SESSIONS:
                for other, session in sorted(self._sessions.items(), key=lambda item: item[1].expires_at):
                    if self._close_if_idle(other, session):
                        break
            self._sessions[name] = Session(connection, timeout_seconds, time.monotonic() + timeout_seconds)
        if before is not None:
            with before.in_use:
                before.connection.close()

    def close(self) -> None:
        with self._lock:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()

    def _close_if_idle(self, name: str, session: Session) -> bool:
        if not session.in_use.acquire(blocking=False):
            return False
        del self._sessions[name]
        session.connection.close()
        return True

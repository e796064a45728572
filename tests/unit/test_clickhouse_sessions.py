"""Sessions of the embedded ClickHouse that keep something."""

from __future__ import annotations

from deploy.local.clickhouse.sessions import MOST_SESSIONS, Sessions


class Connection:
    """Records that it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_of_too_many_the_one_that_would_expire_first_and_is_not_in_use_is_closed():
    sessions = Sessions()
    busy, idle = Connection(), Connection()
    sessions.add("busy", busy, 1.0)
    sessions.add("idle", idle, 2.0)
    found = sessions.find("busy")
    assert found is not None
    with found.in_use:
        for number in range(MOST_SESSIONS - 2):
            sessions.add(f"other-{number}", Connection(), 60.0)
        assert not idle.closed
        sessions.add("one too many", Connection(), 60.0)
    assert (busy.closed, idle.closed) == (False, True)
    assert sessions.find("one too many") is not None

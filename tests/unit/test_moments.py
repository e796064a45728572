"""Times as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from deploy.queries.moments import is_relative, moment

LATEST = datetime(2026, 3, 29, 12, 0, 30, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-01-31", "2026-01-31 00:00:00.000"),
        ("2026-01-31T10:00:00Z", "2026-01-31 10:00:00.000"),
        ("2026-01-31T10:00:00.125+02:00", "2026-01-31 08:00:00.125"),
        ("2026-01-31 10:00", "2026-01-31 10:00:00.000"),
        ("24h", "2026-03-28 12:00:30.250"),
        ("7d", "2026-03-22 12:00:30.250"),
        (" 4w ", "2026-03-01 12:00:30.250"),
    ],
)
def test_a_moment_is_a_date_a_time_or_so_long_before_the_latest_event(text, found):
    assert moment(text, LATEST) == found


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "7", "7y", "", "999999w", "1969-01-01", "2149-01-01", "31.01.2026"]
)
def test_the_message_about_no_moment_shows_what_would_be_one(text):
    with pytest.raises(ValueError, match=r"is no time|lies outside") as found:
        moment(text, LATEST)
    assert repr(text) in str(found.value)


def test_only_a_length_of_time_depends_on_the_latest_event():
    assert [text for text in ("7d", "24h", "2026-01-31", "7") if is_relative(text)] == ["7d", "24h"]

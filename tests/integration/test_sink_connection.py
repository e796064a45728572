"""The one way to ClickHouse: what an address may look like, and that its password is seen nowhere."""

from __future__ import annotations

import socket
import traceback
from contextlib import closing

import pytest

from sinks.clickhouse import Address, StatementError, UnavailableError, connect, named_errors
from sinks.insert import RowInserter

PASSWORD = "p@ss/w:rd"
QUOTED = "p%40ss%2Fw%3Ard"


@pytest.fixture
def nobody():
    """A port of this machine where no one listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host", Address("host", 8123, "firstcall", "default", "", secure=False)),
        ("https://host/", Address("host", 8443, "firstcall", "default", "", secure=True)),
        ("http://me@host:99/of%20mine", Address("host", 99, "of mine", "me", "", secure=False)),
        (f"http://m%40e:{QUOTED}@[::1]:99/mine", Address("::1", 99, "mine", "m@e", PASSWORD, secure=False)),
    ],
)
def test_a_url_names_host_user_and_database(url, expected):
    assert Address.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        f"tcp://me:{QUOTED}@host",
        f"me:{QUOTED}@host:8123",
        f"http://me:{QUOTED}@:8123",
        f"http://me:{QUOTED}@host:81234567",
        f"http://me:{QUOTED}@host:port",
        f"http://me:{QUOTED}@[::1",
        f"http://me:{QUOTED}@host/a/b",
        f"http://me:{QUOTED}@host/a?secure=1",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(url):
    with pytest.raises(ValueError, match="the ClickHouse URL") as caught:
        Address.parse(url)
    shown = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in shown
    assert QUOTED not in shown


def test_an_address_is_shown_without_user_and_password():
    address = Address.parse(f"https://me:{QUOTED}@host/mine")
    assert str(address) == "https://host:8443/mine"
    assert PASSWORD not in repr(address)
    assert PASSWORD not in f"{address} {[address]}"


def test_a_server_that_is_not_there_is_an_error_with_address_and_reason(nobody):
    address = Address.parse(f"http://me:{QUOTED}@127.0.0.1:{nobody}/mine")
    for attempt in (lambda: connect(address), lambda: RowInserter(address).write("event_rows", [b"{}"])):
        with pytest.raises(UnavailableError) as caught:
            attempt()
        shown = "".join(traceback.format_exception(caught.value))
        assert str(caught.value) == (
            f"ClickHouse at http://127.0.0.1:{nobody}/mine:"
            " Failed to establish a new connection: [Errno 111] Connection refused"
        )
        assert PASSWORD not in shown
        assert QUOTED not in shown


def test_an_answer_that_is_an_error_has_the_name_and_message_of_clickhouse(clickhouse):
    address = Address.parse(f"{clickhouse}/default")
    with connect(address) as client, pytest.raises(StatementError) as caught, named_errors(address):
        client.query("SELECT * FROM no_such_table")
    assert caught.value.name == "UNKNOWN_TABLE"
    assert "no_such_table" in caught.value.reason
    assert str(address) in str(caught.value)
    assert "firstcall migrate" in str(caught.value)
    assert "DB::Exception" not in str(caught.value)


def test_a_database_that_is_not_there_is_an_error_with_the_remedy(clickhouse, unique):
    with pytest.raises(StatementError, match="firstcall migrate") as caught:
        RowInserter(Address.parse(f"{clickhouse}/{unique}")).write("event_rows", [b"{}"])
    assert caught.value.name == "UNKNOWN_DATABASE"

"""What Segment's and Moesif's own clients send, recorded by a server on this machine, is accepted as it is."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from analytics.client import Client
from moesifapi.configuration import Configuration
from moesifapi.models import EventModel, EventRequestModel, EventResponseModel, UserModel
from moesifapi.moesif_api_client import MoesifAPIClient

from schemas.config.definitions import load
from schemas.event import Event
from streams.normalise.normaliser import Normaliser
from tests.support.worlds import SECRETS, key_alias

KEY = "sk_live_4f9a8b7c6d5e"
NORMALISER = Normaliser(load(), SECRETS)


class Collector(HTTPServer):
    """Keeps the bodies that are posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def events(self, source: Any) -> list[Event]:
        now = int(datetime.now(UTC).timestamp() * 1000)
        outcomes = [one for body in self.bodies for one in NORMALISER(body, source=source, recorded_at=now)]
        assert [one for one in outcomes if not isinstance(one, Event)] == []
        return [one for one in outcomes if isinstance(one, Event)]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        zipped = self.headers.get("Content-Encoding") == "gzip"
        self.server.bodies.append(gzip.decompress(body) if zipped else body)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_segments_client_sends_all_six_calls_in_one_batch(collector: Collector) -> None:
    client = Client("a write key", host=collector.address, send=True, upload_size=6, upload_interval=5)
    when = datetime(2026, 5, 13, 10, 42, 4, 405_000, tzinfo=UTC)
    context = {"apiKey": KEY, "ip": "10.0.0.1"}
    client.track("ada", "API Call", {"status": 200}, context=context, timestamp=when, message_id="m1")
    client.page("ada", "Docs", "Quickstart", {"path": "/docs/quickstart"}, anonymous_id="a1", timestamp=when)
    client.screen(42, "App", "Home", timestamp=when)
    client.identify("ada", {"email": "ada@acme.example"}, anonymous_id="a1", timestamp=when)
    client.group("ada", "acme", {"name": "Acme"}, timestamp=when)
    client.alias("old-ada", "ada", timestamp=when)
    client.flush()
    client.join()
    assert len(collector.bodies) == 1
    events = collector.events("web")
    assert [(event.type, event.name) for event in events] == [
        ("event", "API Call"),
        ("event", "Page Viewed"),
        ("event", "Screen Viewed"),
        ("identify", "Identify"),
        ("group", "Group"),
        ("merge", "Alias"),
    ]
    call, page, screen, identify, group, alias = events
    assert (call.message_id, call.api_key, call.context["ip"]) == ("m1", key_alias(KEY), "10.0.0.1")
    assert page.properties == {"path": "/docs/quickstart", "name": "Quickstart", "category": "Docs"}
    assert (page.anonymous_id, screen.user_id, screen.properties["name"]) == ("a1", "42", "Home")
    assert identify.traits == {"email": "ada@acme.example"}
    assert (group.company_id, group.traits) == ("acme", {"name": "Acme"})
    assert (alias.previous_id, alias.user_id) == ("old-ada", "ada")
    assert {event.time for event in events} == {1_778_668_924_405}
    assert KEY not in repr(events)


def moesif_call(**fields: Any) -> EventModel:
    """A call as Moesif's agents record it: times in UTC without a zone, all headers, the bodies."""
    began = datetime(2026, 5, 13, 10, 42, 4, 405_000)  # noqa: DTZ001 - as the client's users write it
    request = EventRequestModel(
        time=began,
        uri="https://api.acme.example/v1/messages?api_key=another-key-9&page=2",
        verb="POST",
        headers={"Authorization": f"Bearer {KEY}", "User-Agent": "acme-python/1.2", "Content-Type": "application/json"},
        api_version="1.1.0",
        ip_address="61.48.220.123",
        body={"card": "4111111111111111"},
    )
    response = EventResponseModel(
        time=began + timedelta(milliseconds=25), status=201, headers={"Set-Cookie": "x"}, body={"id": 1}
    )
    return EventModel(**({"request": request, "response": response, "metadata": {"region": "eu"}} | fields))


def test_moesifs_client_sends_api_calls_one_by_one_and_in_batches(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Configuration, "BASE_URI", collector.address)
    api = MoesifAPIClient("an application id").api
    api.create_event(moesif_call(user_id="ada", company_id="acme", session_token="s1", transaction_id="t1"))
    api.create_events_batch([moesif_call(user_id=f"u{i}") for i in range(3)])
    first, *others = collector.events("api")
    assert [event.user_id for event in others] == ["u0", "u1", "u2"]
    assert (first.message_id, first.name, first.source, first.time) == ("t1", "API Call", "api", 1_778_668_924_405)
    assert (first.user_id, first.company_id, first.session_token) == ("ada", "acme", "s1")
    assert (first.api_key, first.environment) == (key_alias(KEY), "production")
    assert first.properties == {
        "path": "/v1/messages",
        "host": "api.acme.example",
        "method": "POST",
        "status": 201,
        "latency_ms": 25,
        "api_version": "1.1.0",
        "region": "eu",
    }
    assert first.context == {
        "userAgent": "acme-python/1.2",
        "sdk": "acme-python",
        "ip": "61.48.220.123",
        "headers": {"content-type": "application/json"},
    }
    for secret in (KEY, "another-key-9", "4111111111111111"):
        assert secret not in repr(first)


def test_moesifs_client_identifies_a_user(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Configuration, "BASE_URI", collector.address)
    api = MoesifAPIClient("an application id").api
    user = UserModel(user_id="ada", company_id="acme", session_token="s1", metadata={"email": "a@acme.example"})
    api.update_user(user)
    api.update_users_batch([user])
    for event in collector.events("web"):
        assert (event.type, event.name, event.user_id, event.company_id) == ("identify", "Identify", "ada", "acme")
        assert (event.session_token, event.traits) == ("s1", {"email": "a@acme.example"})

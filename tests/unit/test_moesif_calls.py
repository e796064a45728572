"""What becomes of Moesif's API calls where its clients leave something open."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from schemas.config.definitions import load
from schemas.event import Event
from streams.normalise.normaliser import Normaliser
from tests.conftest import NOW_MS
from tests.support.worlds import SECRETS, key_alias

NORMALISER = Normaliser(load(), SECRETS)
BASIC = base64.b64encode(b"a-key-of-basic:").decode()


def call(**fields: Any) -> Event:
    body = {"request": {"uri": "https://api.example/v1/x"}, "response": {"status": 200}, "user_id": "u1"} | fields
    (event,) = NORMALISER(json.dumps(body).encode(), source="web", recorded_at=NOW_MS)
    assert isinstance(event, Event)
    return event


def test_a_call_without_a_response_is_no_success():
    assert call(response=None).properties["status"] == 504


def test_an_outgoing_call_is_no_use_of_the_api():
    assert [call(direction=given).name for given in ("Outgoing", "Incoming", None)] == [
        "Outgoing API Call",
        "API Call",
        "API Call",
    ]


def test_a_call_comes_from_the_api_wherever_it_was_sent_to():
    assert call().source == "api"


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({"X-API-Key": "key-of-header", "Authorization": "Bearer other"}, "", "key-of-header"),
        ({"authorization": "Bearer key-of-bearer"}, "", "key-of-bearer"),
        ({"Authorization": f"Basic {BASIC}"}, "", "a-key-of-basic"),
        ({"Authorization": "Token key-of-token"}, "", "key-of-token"),
        ({"Authorization": "bare-key"}, "", "bare-key"),
        ({"Authorization": "Bearer eyJh.eyJz.c2ln"}, "?apikey=key-of-query", "key-of-query"),
        ({"Authorization": "Bearer eyJh.eyJz.c2ln"}, "", ""),
        ({"Cookie": "session=1"}, "?page=1", ""),
    ],
)
def test_where_the_key_of_a_call_is_found(headers, query, key):
    event = call(request={"uri": f"/v1/x{query}", "headers": headers}, session_token=key or "s1")
    assert event.api_key == (key_alias(key) if key else "")
    # What Moesif calls the session of the call is the key itself.
    assert event.session_token == ("" if key else "s1")
    assert not key or key not in repr(event)
    assert event.properties["path"] == "/v1/x"

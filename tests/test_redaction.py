"""No key reaches what is stored or shown, and hostile messages are refused without effort."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.definitions import load
from schemas.event import Event, Rejected
from streams import stages
from streams.normalise import Normaliser
from streams.plan import Plan
from streams.redaction import redacted
from tests.conftest import NOW_MS
from tests.worlds import SECRETS

KEY = "sk_live_fc_4f9a8b7c6d5e"
NORMALISER = Normaliser(load(), SECRETS)


def normalised(**fields: Any) -> Event | Rejected:
    body = {"name": "API Call", "time": "2026-01-05T10:00:00Z"} | fields
    (only,) = NORMALISER(json.dumps(body).encode(), source="api", recorded_at=NOW_MS)
    return only


@pytest.mark.parametrize(
    "fields",
    [
        {"properties": {"note": f"called with {KEY}"}},
        {"properties": {"headers": {"X-API-KEY": KEY, "Authorization": f"Bearer {KEY}"}}},
        {"context": {"deep": [{"er": {"Api_Key": "another-secret", "token": "another-secret"}}]}},
        {"traits": {KEY: 1}},
    ],
)
def test_a_key_is_nowhere_in_an_accepted_event(fields: dict[str, Any]) -> None:
    event = normalised(api_key=KEY, **fields)
    assert isinstance(event, Event)
    assert KEY not in repr(event)
    assert "another-secret" not in repr(event)


@pytest.mark.parametrize("field", ["name", "message_id", "user_id", "anonymous_id", "session_token", "company_id"])
def test_a_key_in_a_field_that_is_stored_as_it_is_refuses_the_event(field: str) -> None:
    refused = normalised(**{"api_key": KEY, field: f"x {KEY}"})
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.field) == ("secret", field)


@pytest.mark.parametrize(
    "value",
    [
        f'{{"name": "x", "api_key": "{KEY}"',
        '{"name": "x", "api_key": "live-mysecret-1"',
        '{"name": "x", "nested": ' + "[" * 40 + f'"{KEY}"' + "]" * 40 + "}",
        f'{{"name": "x", "api_key": "{KEY}", "time": "Bearer {KEY}"}}',
    ],
)
def test_a_dead_letter_shows_no_key(value: str) -> None:
    rows = stages.normalise_events(Plan(load()), NORMALISER, "web-events", "web", [(0, 0, NOW_MS, value.encode())])
    (letter,) = rows
    assert KEY.encode() not in letter.value
    assert b"mysecret" not in letter.value
    assert KEY not in redacted(value.encode())


@pytest.mark.parametrize("field", ["time", "source", "environment", "type", "user_id", "properties"])
def test_a_bottomless_value_is_refused_like_any_other(field: str) -> None:
    bottomless: Any = "x"
    for _ in range(900):
        bottomless = [bottomless]
    refused = normalised(**{"user_id": "u1", field: bottomless})
    assert isinstance(refused, Rejected)
    assert refused.field == field


def test_a_batch_of_wrong_calls_is_read_once() -> None:
    calls = [{"type": "track", "event": "x", "properties": {"text": "a" * 50}}] * 3_000
    value = json.dumps({"batch": calls}).encode()
    rows = stages.normalise_events(Plan(load()), NORMALISER, "web-events", "web", [(0, 7, NOW_MS, value)])
    letters = [json.loads(row.value) for row in rows]
    assert len(letters) == len(calls)
    assert {(letter["reason"], letter["offset"]) for letter in letters} == {("no_identifier", 7)}
    assert len({letter["payload"] for letter in letters}) == 1

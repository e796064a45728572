"""No key reaches what is stored or shown, and hostile messages are refused without effort."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.config.definitions import load
from schemas.event import Event, Rejected
from streams import processors
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.dead_letters import DEAD_LETTERS_PER_MESSAGE
from streams.normalise.excerpt import excerpt_of
from streams.normalise.normaliser import Normaliser
from tests.conftest import NOW_MS
from tests.support.worlds import SECRETS

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


@pytest.mark.parametrize("field", ["user_id", "anonymous_id", "session_token", "company_id"])
@pytest.mark.parametrize("own", [KEY, "a-key-of-another-kind"])
def test_an_identifier_with_a_key_in_it_is_dropped(field: str, own: str) -> None:
    event = normalised(**({"user_id": "u1", "api_key": own} | {field: f"x {own}"}))
    assert isinstance(event, Event)
    assert getattr(event, field) == ""
    assert own not in repr(event)


@pytest.mark.parametrize("field", ["user_id", "anonymous_id", "session_token"])
def test_a_call_that_names_nobody_without_it_is_refused(field: str) -> None:
    refused = normalised(**{field: f"x {KEY}"})
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.field) == ("secret", field)
    assert KEY not in repr(refused)


@pytest.mark.parametrize("field", ["user_id", "previous_id"])
def test_a_merge_without_one_of_its_ids_is_refused(field: str) -> None:
    refused = normalised(**({"type": "merge", "user_id": "u1", "previous_id": "u0"} | {field: f"x {KEY}"}))
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.field) == ("secret", field)


def test_a_key_in_a_name_is_replaced() -> None:
    event = normalised(api_key=KEY, name=f"called with {KEY}")
    assert isinstance(event, Event)
    assert event.name == "called with [redacted]"


def test_a_message_id_with_a_key_gives_way_to_one_from_the_content() -> None:
    first, again, other, later = (
        normalised(api_key=KEY, message_id=f"{KEY}-{number}", properties={"n": n})
        for number, n in ((1, 1), (1, 1), (2, 1), (1, 2))
    )
    assert isinstance(first, Event)
    assert KEY not in first.message_id
    assert first == again
    assert len({event.message_id for event in (first, other, later) if isinstance(event, Event)}) == 3


def test_a_key_may_be_a_number() -> None:
    event = normalised(
        api_key=1234567890, properties={"n": 1234567890, "text": "x1234567890"}, traits={"k": [1.5, True]}
    )
    assert isinstance(event, Event)
    assert event.properties == {"n": "[redacted]", "text": "x[redacted]"}
    assert event.traits == {"k": [1.5, True]}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("/docs?api_key=abc&x=1#token=def", "/docs?api_key=[redacted]&x=1#token=[redacted]"),
        ("https://u:p@api.example/?X-Api-Key=abc", "https://[redacted]@api.example/?X-Api-Key=[redacted]"),
        ("/x?next=%2Fy%3Faccess_token%3Dabc%26z%3D1", "/x?next=%2Fy%3Faccess_token%3D[redacted]%26z%3D1"),
        ("/v1/keys/sk_live_abcd1234/usage", "/v1/keys/[redacted]/usage"),
        ("Authorization: Bearer abcdef123456", "Authorization: [redacted]"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic [redacted]"),
    ],
)
def test_a_key_in_an_address_or_a_text_is_replaced_without_a_key_field(text: str, clean: str) -> None:
    event = normalised(user_id="u1", properties={"path": text}, context={"page": {"url": text}})
    assert isinstance(event, Event)
    assert (event.properties["path"], event.context["page"]["url"]) == (clean, clean)


@pytest.mark.parametrize(
    "text",
    [
        *("/docs/authentication?utm_source=x&monkey=1", "Basic authentication", "Bearer tokens", "is_test_account"),
        *("ada@acme.example", "https://acme.example/@ada", "the key = value pair", "100 % sk_test_"),
    ],
)
def test_what_is_no_key_stays(text: str) -> None:
    event = normalised(user_id="u1", properties={"path": text, text: 1})
    assert isinstance(event, Event)
    assert event.properties == {"path": text, text: 1}


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
    rows = processors.normalise_events(
        CompiledDefinitions(load()), NORMALISER, "web-events", "web", [(0, 0, NOW_MS, value.encode())]
    )
    (letter,) = rows
    assert KEY.encode() not in letter.value
    assert b"mysecret" not in letter.value
    assert KEY not in excerpt_of(value.encode())


@pytest.mark.parametrize("field", ["time", "source", "type", "user_id", "properties"])
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
    rows = processors.normalise_events(
        CompiledDefinitions(load()), NORMALISER, "web-events", "web", [(0, 7, NOW_MS, value)]
    )
    letters = [json.loads(row.value) for row in rows]
    *shown, more = letters
    assert len(shown) == DEAD_LETTERS_PER_MESSAGE
    assert {(letter["reason"], letter["offset"]) for letter in shown} == {("no_identifier", 7)}
    assert [letter["field"] for letter in shown] == [f"batch[{i}]" for i in range(len(shown))]
    assert (more["reason"], more["offset"]) == ("more", 7)
    assert more["detail"] == "2,900 further calls of this message are refused: no_identifier 2,900"
    assert len({letter["payload"] for letter in letters}) == 1

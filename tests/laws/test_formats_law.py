"""Every message, in whatever format, is read as the reference reads it, and none is lost or stops the reader."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.event import Event, Rejected
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.facts.touches import touch_of
from streams.normalise.normaliser import Normaliser
from tests.conftest import NOW_MS
from tests.support.reference.events import Event as Expected
from tests.support.reference.events import Record, read
from tests.support.reference.moesif import from_moesif
from tests.support.worlds import SECRETS, small_definitions
from tests.support.worlds.leaks import FORMATS, leaking_messages

DEFINITIONS = small_definitions()
NORMALISER = Normaliser(DEFINITIONS, SECRETS)
COMPILED = CompiledDefinitions(DEFINITIONS)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TIMES = st.sampled_from(
    [
        *("2026-01-05T10:00:00Z", "2026-01-05 10:00:00.5+02:00", "2026-01-05t10:00:00.1234567z"),
        *("2026-01-05T10:00:00", "2026-W02-1T10:00:00Z", "2026-01-05T10:00:00+0200", "2026-01-05T10:00+00:00"),
        *("2026-01-05T10:00:00,5Z", "20260105T100000+0000", "2026-01-05T24:00:00Z", "2026-01-05T10:00:00+24:00"),
        *("", None, 1, "x", "2026-01-05", 1767607200, "1767607200123", 1767607200.5, 0, "0001-01-01T00:00:00Z"),
    ]
)
TEXTS = st.sampled_from(["a1", "u1", "", None, 42, "anonymous_id:a1", "x" * 513, ["a"], 1.5, True])
FIELDS = {
    **dict.fromkeys(["message_id", "anonymous_id", "session_token", "api_key", "user_id", "company_id"], TEXTS),
    **dict.fromkeys(["messageId", "anonymousId", "userId", "groupId", "previousId", "previous_id"], TEXTS),
    **dict.fromkeys(["time", "timestamp", "originalTimestamp", "sentAt", "receivedAt", "sent_at"], TIMES),
    **dict.fromkeys(["properties", "context", "traits", "metadata"], st.dictionaries(st.text(max_size=8), JSON) | JSON),
    **dict.fromkeys(["batch", "integrations", "campaign"], JSON),
    "type": st.sampled_from(
        ["event", "track", "page", "screen", "identify", "group", "alias", "merge", "batch", None, 1]
    ),
    "name": st.sampled_from(["Signed Up", "API Call", "", None, 7, "x" * 201]),
    "event": st.sampled_from(["Signed Up", "", None]),
    "source": st.sampled_from(["web", "api", None, "x", {}]),
    "environment": st.sampled_from(["test", "production", None, "x"]),
    "request": st.fixed_dictionaries(
        {}, optional={"time": TIMES, "uri": st.sampled_from(["/x?key=y", 1]), "headers": JSON}
    )
    | JSON,
    "response": st.fixed_dictionaries(
        {"status": st.sampled_from([200, "200", 200.0, 1e300, "x", None])}, optional={"time": TIMES}
    )
    | JSON,
    "action_name": st.sampled_from(["Signed Up", None, 1]),
    "direction": st.sampled_from(["Incoming", "Outgoing", None]),
}
#: One sound message of each kind, of which one or two fields are then made nasty.
TIME = "2026-01-05T10:00:00Z"
URL = "https://docs.example/x?utm_source=ads&token=abc"
SOUND = st.sampled_from(
    [
        {"name": "Page Viewed", "user_id": "u1", "anonymous_id": "a1", "time": TIME, "properties": {"url": URL}},
        {"type": "merge", "previous_id": "u0", "user_id": "u1", "time": TIME},
        {"type": "track", "event": "API Call", "userId": 7, "timestamp": TIME, "context": {"apiKey": "sk_test_12345"}},
        {"type": "page", "name": "Docs", "anonymousId": "a1", "timestamp": TIME, "context": {"page": {"url": URL}}},
        {"type": "group", "userId": "u1", "groupId": "acme", "originalTimestamp": TIME, "sentAt": TIME},
        {"event": "Signed Up", "userId": "u1", "context": {"referrer": {"url": "https://n.example"}, "groupId": 1}},
        {
            "request": {"time": TIME[:-1], "uri": "/x?api_key=abcdefgh1"},
            "response": {"status": 200},
            "company_id": "acme",
        },
        {"request": {"headers": {"Authorization": "Basic YTpi"}}, "user_id": "u1", "direction": "Outgoing"},
        {"action_name": "Signed Up", "request": {"uri": URL, "time": TIME}, "session_token": "s1"},
        {"user_id": "u1", "company_id": "acme", "modified_time": TIME[:-1], "metadata": {"email": "a@own.example"}},
        {"company_id": "acme", "session_token": "s1", "company_domain": "acme.example", "metadata": None},
    ]
)
NASTY = st.lists(st.sampled_from(sorted(FIELDS)), max_size=2, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)
OBJECTS = st.builds(lambda sound, nasty: sound | nasty, SOUND, NASTY)
MESSAGES = (
    OBJECTS
    | st.lists(OBJECTS | JSON, max_size=3)
    | st.builds(lambda calls: {"batch": calls}, st.lists(OBJECTS, max_size=3))
    | JSON
)


def outcomes(message: bytes) -> list[Event | Rejected]:
    return NORMALISER(message, source="web", recorded_at=NOW_MS)


def comparable(outcome: Any) -> Any:
    """What both readers must agree on."""
    if not isinstance(outcome, Event | Expected):
        return "refused"
    if isinstance(outcome, Event):
        is_content = bool(COMPILED._matches(outcome) & COMPILED._touch)
        touch = touch_of(outcome, is_content) if outcome.type == "event" else None
    else:
        touch = outcome.touch
    ids = (outcome.anonymous_id, outcome.session_token, outcome.api_key, outcome.user_id, outcome.company_id)
    return (*ids, outcome.time, outcome.environment, outcome.is_bot, outcome.is_internal, touch)


@settings(max_examples=400)
@given(st.binary(max_size=200))
@example(b'{"user_id": "\\ud800"}')
@example(b"[" * 2_000)
@example(b"1" * 5_000)
@example(b'{"a":' * 1_100 + b"1" + b"}" * 1_100)
def test_any_bytes_give_an_event_or_a_reason(message):
    assert outcomes(message)
    assert all(isinstance(one, Event) or (one.reason and one.detail) for one in outcomes(message))


@settings(max_examples=600)
@given(MESSAGES)
def test_any_json_gives_an_event_or_a_reason_as_the_reference_does(value):
    message = orjson.dumps(value)
    ours = outcomes(message)
    assert ours
    for one in ours:
        assert isinstance(one, Event) or (one.reason and one.detail)
    expected = list(read([Record("web", message, NOW_MS)], DEFINITIONS, SECRETS[0]))
    assert [comparable(one) for one in ours] == [comparable(one) for one in expected]


@settings(max_examples=600)
@given(leaking_messages())
def test_keys_are_taken_out_as_the_reference_takes_them_out(leak):
    _, message = leak
    expected = list(read([Record("web", message, NOW_MS)], DEFINITIONS, SECRETS[0]))
    assert [comparable(one) for one in outcomes(message)] == [comparable(one) for one in expected]


def test_what_a_batch_shares_must_be_small():
    call = {"type": "track", "event": "x", "userId": "u1"}
    (refused,) = outcomes(json.dumps({"batch": [call], "context": {"x": "y" * 10_000}}).encode())
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.field) == ("too_large", "context")


@pytest.mark.parametrize("length", [200, 201, 900_000])
def test_a_touch_keeps_two_hundred_characters_of_each_text(length):
    long = "x" * length
    properties = {"path": "/" + long, "referrer": f"https://{long}/", "utm_source": long}
    body = {"name": "Page Viewed", "user_id": "u1", "time": "2026-01-05T10:00:00Z", "properties": properties}
    for part in ("path", "referrer", "utm_source"):
        message = json.dumps(body | {"properties": {"utm_term": "x", part: properties[part]}}).encode()
        (event,) = outcomes(message)
        (expected,) = read([Record("web", message, NOW_MS)], DEFINITIONS, SECRETS[0])
        assert isinstance(event, Event)
        touch = touch_of(event, is_content=False)
        assert touch is not None
        assert max(map(len, touch.values())) == 200
        assert touch == expected.touch  # type: ignore[union-attr]


def test_the_formats_of_the_strategies_are_all_detected():
    message = {"name": "API Call", "user_id": "u1", "time": "2026-01-05T10:00:00Z", "api_key": "k"}
    ids = [[getattr(one, "user_id", "") for one in outcomes(form(message))] for form in FORMATS[:4]]
    assert ids == [["u1"], ["u1"], ["u1"], ["u1", "u1", "u1"]]
    assert from_moesif(json.loads(FORMATS[2](message)))["api_key"] == "k"

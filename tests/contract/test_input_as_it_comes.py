"""Input as SDKs, gateways and middlewares write it: each kind is read as expected, by the streams and by the reference."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.config.definitions import Definitions, build, load
from schemas.event import Event, Rejected
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.normalise.normaliser import Normaliser
from tests.support.reference.events import Event as Expected
from tests.support.reference.events import Record, read
from tests.support.worlds import SECRETS, at, clock

NOON = at("2026-01-05 12:00")
RECORDED = NOON + 5_000
TIME = clock(NOON)

TRACK = {"type": "track", "event": "Signed Up", "timestamp": TIME}
CALL = {"name": "API Call", "source": "api", "time": TIME, "user_id": "u1", "api_key": "k1abcdefgh"}
MOESIF = {"request": {"time": TIME, "uri": "https://api.acme.test/v1", "headers": {"x-api-key": "k1abcdefgh"}}}


def outcomes(
    message: Any, recorded_at: int = RECORDED, definitions: Definitions | None = None
) -> tuple[list[Event | Rejected], Normaliser]:
    """What the streams read, after a comparison with what the reference reads."""
    definitions = definitions or load()
    value = message if isinstance(message, bytes) else json.dumps(message).encode()
    normaliser = Normaliser(definitions, SECRETS)
    found = normaliser(value, source="web", recorded_at=recorded_at)
    expected = list(read([Record("web", value, recorded_at)], definitions, SECRETS[0]))
    assert [_shared(one) for one in found] == [_shared(one) for one in expected]
    return found, normaliser


def _shared(one: Any) -> Any:
    if not isinstance(one, Event | Expected):
        return "refused"
    ids = (one.anonymous_id, one.session_token, one.api_key, one.user_id, one.company_id, one.merged_id)
    return (*ids, one.time, one.environment, one.is_internal)


def event_of(message: Any, recorded_at: int = RECORDED, definitions: Definitions | None = None) -> Event:
    (event,), _ = outcomes(message, recorded_at, definitions)
    assert isinstance(event, Event), event
    return event


def refusal_of(message: Any, recorded_at: int = RECORDED) -> Rejected:
    (refused,), _ = outcomes(message, recorded_at)
    assert isinstance(refused, Rejected), refused
    return refused


def is_successful_call(event: Event) -> bool:
    compiled = CompiledDefinitions(load())
    return bool(compiled._matches(event) >> compiled.number["successful_call"] & 1)


@pytest.mark.parametrize(
    ("properties", "is_success"),
    [
        *(
            ({"status": status}, False)
            for status in (0, "0", -1, "-1", "000", 0.0, -2147024832, 99, 499, 504, "-", False)
        ),
        *(({"status": status}, True) for status in (101, 200, "200", 204, 304, "200 OK", None)),
        ({"status": "503 Service Unavailable"}, False),
        ({"status": 200, "grpc_status": 0}, True),
        ({"status": 204, "method": "OPTIONS"}, False),
        ({"status": 204, "method": "options"}, False),
        ({"status": 200, "method": "HEAD"}, True),
        ({}, True),
    ],
)
def test_a_call_that_was_not_answered_and_a_preflight_are_no_success(properties, is_success):
    event = event_of(CALL | {"properties": properties})
    assert is_successful_call(event) is is_success
    assert event.is_use is (str(properties.get("method")).upper() != "OPTIONS")


@pytest.mark.parametrize("response", [None, [], {}, {"status": None}, {"status": 0}, {"status": "0"}])
def test_a_moesif_call_without_an_answer_is_no_success(response):
    event = event_of(MOESIF | {"response": response})
    assert event.properties["status"] == 504


def test_a_moesif_preflight_is_no_use():
    request = {"time": TIME, "uri": "/v1?api_key=k1abcdefgh", "verb": "Options"}
    event = event_of({"request": request, "response": {"status": 204}})
    assert (event.is_use, is_successful_call(event)) == (False, False)


@pytest.mark.parametrize(
    "properties",
    [
        {"environment": "staging"},
        {"environment": {"os": "linux"}},
        {"groupId": "g", "group_id": "g", "company_id": "g"},
        {"user_id": "u2", "userId": "u2", "anonymousId": "a2", "sessionToken": "s"},
        {"type": "merge", "name": "x", "source": "ads", "time": "yesterday"},
    ],
)
def test_a_property_is_no_identity_company_or_environment(properties):
    event = event_of(TRACK | {"userId": "u1", "properties": properties})
    assert (event.user_id, event.anonymous_id, event.company_id, event.environment) == ("u1", "", "", "production")
    assert (event.session_token, event.type, event.name) == ("", "event", "Signed Up")


def test_the_configuration_names_the_properties_that_are_identities():
    named = {"company_id": ["team"], "environment": ["env"], "user_id": ["uid"], "api_key": []}
    call = TRACK | {"anonymousId": "a1", "properties": {"team": 7, "env": "dev", "uid": "u1", "api_key": "k1abcdefgh"}}
    normaliser = Normaliser(build({"named_properties": named}), SECRETS)
    (event,) = normaliser(json.dumps(call).encode(), source="web", recorded_at=RECORDED)
    assert isinstance(event, Event)
    assert (event.user_id, event.company_id, event.environment, event.api_key) == ("u1", "7", "development", "")
    assert event_of(call).api_key


@pytest.mark.parametrize(
    ("word", "environment"),
    [
        *((word, "production") for word in ("Prod", "LIVE", " production ")),
        *((word, "test") for word in ("staging", "Sandbox", "qa")),
        *((word, "development") for word in ("dev", "local", "Development")),
    ],
)
def test_the_usual_words_name_an_environment(word, environment):
    assert event_of(CALL | {"environment": word}).environment == environment
    assert event_of(TRACK | {"userId": "u1", "context": {"environment": word}}).environment == environment


@pytest.mark.parametrize("word", ["eu-west-1", "qa-7", "blue", 3, ["prod"], {}, True, "x" * 600])
def test_an_unknown_environment_is_ignored_and_counted(word):
    found, normaliser = outcomes(CALL | {"environment": word, "api_key": "sk_test_fake0001"})
    assert [getattr(one, "environment", "") for one in found] == ["test"]
    assert normaliser.ignored == {("environment", "unknown"): 1}


@pytest.mark.parametrize("empty", [[], "", None, {}])
@pytest.mark.parametrize(
    "message",
    [
        lambda empty: TRACK | {"userId": "u1", "properties": empty, "context": empty, "traits": empty},
        lambda empty: TRACK | {"userId": "u1", "context": {"traits": empty, "page": empty, "campaign": empty}},
        lambda empty: {"batch": [TRACK | {"userId": "u1", "context": empty}], "context": empty},
        lambda empty: {"batch": [TRACK | {"userId": "u1", "context": empty}], "context": {"ip": "10.0.0.1"}},
        lambda empty: CALL | {"properties": empty, "context": empty, "traits": empty},
        lambda empty: MOESIF | {"metadata": empty, "response": empty, "user_id": "u1"},
        lambda empty: {"request": {"uri": "/", "headers": empty}, "response": {"status": 200}, "user_id": "u1"},
        lambda empty: {"user_id": "u1", "metadata": empty, "campaign": empty},
    ],
)
def test_an_empty_list_or_text_is_an_empty_map(message, empty):
    assert event_of(message(empty)).user_id == "u1"


def test_a_list_with_members_is_no_map():
    refused = refusal_of(TRACK | {"userId": "u1", "properties": ["a"]})
    assert (refused.reason, refused.field) == ("wrong_type", "properties")


@pytest.mark.parametrize(
    ("call", "ids"),
    [
        ({"context": {"traits": {"anonymousId": "a1", "userId": "u1"}}}, ("a1", "u1", "")),
        ({"context": {"traits": {"anonymous_id": "a1", "user_id": 7}}}, ("a1", "7", "")),
        ({"context": {"traits": {"id": "u1", "groupId": "c1"}}}, ("", "u1", "c1")),
        ({"context": {"traits": {"userId": "u0", "anonymousId": "a0"}}, "anonymousId": "a1"}, ("a1", "u0", "")),
        ({"context": {"traits": {"userId": "u0"}}, "userId": "u1"}, ("", "u1", "")),
        ({"context": {"traits": {"userId": "u0"}}, "userId": "", "anonymousId": None}, ("", "u0", "")),
        ({"context": {"traits": {"company": {"id": "c9"}}}, "userId": "u1"}, ("", "u1", "")),
    ],
)
def test_identifiers_that_a_call_lacks_are_taken_from_the_traits_of_its_context(call, ids):
    for message in (TRACK | call, {"batch": [TRACK | call]}, TRACK | call | {"type": "identify"}):
        event = event_of(message)
        assert (event.anonymous_id, event.user_id, event.company_id) == ids

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


LATER = clock(NOON + 4_000)
IMPORTED = {"timestamp": "2025-03-01T10:00:00Z"}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        # A pipeline has corrected it: a historical import.
        (IMPORTED | dict.fromkeys(["originalTimestamp", "sentAt", "receivedAt"], LATER), "2025-03-01T10:00:00Z"),
        # A time of sending before the event is of an earlier attempt.
        ({"timestamp": TIME, "sentAt": "2026-01-04T17:00:00Z", "receivedAt": LATER}, TIME),
        ({"originalTimestamp": TIME, "sentAt": "2026-01-04T17:00:00Z", "receivedAt": LATER}, TIME),
        # A clock that is an hour ahead; one of 1970; one that is two days ahead.
        (
            {"timestamp": "2026-01-05T13:00:00Z", "sentAt": "2026-01-05T13:00:03Z", "receivedAt": LATER},
            clock(NOON + 1_000),
        ),
        (
            {"timestamp": "1970-01-01T00:10:00Z", "sentAt": "1970-01-01T00:10:05Z", "receivedAt": LATER},
            clock(NOON - 1_000),
        ),
        (
            {"timestamp": "2026-01-07T12:00:00Z", "sentAt": "2026-01-07T12:00:01Z", "receivedAt": LATER},
            clock(NOON + 3_000),
        ),
        # Never after its receipt.
        ({"timestamp": "2026-01-05T14:00:00Z", "receivedAt": LATER}, LATER),
        ({"timestamp": "2026-01-05T18:00:00Z", "sentAt": "2026-01-05T10:00:00Z", "receivedAt": LATER}, LATER),
        ({"receivedAt": LATER}, LATER),
        ({"sentAt": LATER}, clock(RECORDED)),
    ],
)
def test_of_two_times_the_corrected_one_counts(times, expected):
    call = {"type": "track", "event": "Signed Up", "userId": "u1"} | times
    assert clock(event_of(call).time) == clock(at(expected))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2020-01-15 14:57:24.898", "2020-01-15T14:57:24.898Z"),
        ("2023-01-03", "2023-01-03T00:00:00Z"),
        *((value, "2023-02-06T14:14:25.495Z") for value in (1675692865495, "1675692865495", 1675692865495.0)),
        *((value, "2023-02-06T14:14:25.495Z") for value in (1675692865.495, "1675692865.495")),
        *((value, "2023-02-06T14:14:25Z") for value in (1675692865, "1675692865")),
        *((value, TIME) for value in ("2026-01-05T12:00:00", "2026-01-05t12:00:00z", "2026-01-05T12:00")),
        *((value, TIME) for value in ("2026-01-05T12:00Z", " 2026-01-05T12:00:00Z\n", "20260105T120000Z")),
        *((value, TIME) for value in ("2026-01-05T13:00:00+0100", "2026-01-05 13:00:00+01", "2026-01-05 12:00:00 UTC")),
        *((value, TIME) for value in ("2026-01-05 13:00:00 +0100", "2026-01-05T06:30:00-05:30")),
        ("2026-01-05T11:59:59,123Z", "2026-01-05T11:59:59.123Z"),
        ("2026-01-05T11:59:59.123456789Z", "2026-01-05T11:59:59.123Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
    ],
)
def test_times_are_read_as_tools_write_them(written, expected):
    for message in (
        {"type": "track", "event": "Signed Up", "userId": "u1", "timestamp": written},
        {"name": "Signed Up", "user_id": "u1", "time": written},
        {"user_id": "u1", "request": {"uri": "/", "time": written}, "response": {"status": 200}},
    ):
        assert clock(event_of(message).time) == clock(at(expected))


BROKEN = [
    *("Invalid date", "2020-08-14T05: 30: 30.118Z", "Fri, 20 Nov 2026 12:00:00 GMT", "11/20/2026", "2026-02-30", "x"),
    *(
        "2026-01-05T24:00:00Z",
        "2026-01-05T12:00:00+24:00",
        "2026-W02-1T10:00:00Z",
        "167569286549",
        True,
        {"$date": TIME},
    ),
    *(1675692865495123, "1675692865495123456", [TIME], 1e300),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_time_is_ignored_beside_a_good_one_and_refused_alone(broken):
    call = {"type": "track", "event": "Signed Up", "userId": "u1"}
    for other in ("originalTimestamp", "sentAt", "receivedAt"):
        found, normaliser = outcomes(call | {"timestamp": TIME, other: broken})
        assert [getattr(one, "time", None) for one in found] == [NOON]
        assert sum(normaliser.ignored.values()) == 1
    assert event_of(call | {"timestamp": broken, "originalTimestamp": TIME}).time == NOON
    refused = refusal_of(call | {"timestamp": broken})
    assert (refused.reason, refused.field) == ("wrong_time", "timestamp")
    assert "RFC 3339" in refused.detail


@pytest.mark.parametrize("nothing", [None, "", 0, "0000-00-00 00:00:00", "0001-01-01T00:00:00Z"])
def test_what_databases_and_programs_write_for_no_time_is_none(nothing):
    call = {"type": "track", "event": "Signed Up", "userId": "u1", "timestamp": nothing}
    assert event_of(call).time == RECORDED
    assert event_of(call | {"originalTimestamp": TIME, "sentAt": nothing}).time == NOON


@pytest.mark.parametrize("recorded_at", [-1, 0, -1000, RECORDED // 1000, RECORDED * 1000, RECORDED * 1_000_000])
def test_a_kafka_timestamp_that_cannot_be_refuses_no_event(recorded_at):
    for message in (TRACK | {"userId": "u1"}, CALL, MOESIF | {"user_id": "u1"}):
        assert event_of(message, recorded_at).time == NOON
    assert event_of({"name": "x", "user_id": "u1", "received_at": TIME}, recorded_at).time == NOON


def test_a_kafka_timestamp_stands_in_where_it_can_be():
    timeless = {"name": "x", "user_id": "u1"}
    assert event_of(timeless).time == RECORDED
    assert event_of(timeless, RECORDED // 1000).time == RECORDED
    refused = refusal_of(timeless, -1)
    assert (refused.reason, refused.field) == ("missing", "time")


@pytest.mark.parametrize(
    ("ip", "is_internal"),
    [
        *((ip, True) for ip in ("10.1.2.3:51008", " 10.1.2.3 ", "10.1.2.3, 172.16.0.1", "10.1.2.3:1, 10.0.0.6")),
        *(
            (ip, True)
            for ip in ('"10.1.2.3"', "/10.1.2.3:51008", "10.1.2.3/32", "for=10.1.2.3;proto=https", ["10.1.2.3"])
        ),
        *((ip, True) for ip in ("2001:DB8::17", "[2001:db8::17]:4711", "[2001:db8::17]", "2001:db8::17%eth0")),
        *((ip, True) for ip in ('for="[2001:db8::17]:4711"', "::ffff:10.1.2.3", "[::ffff:10.1.2.3]:443")),
        *((ip, False) for ip in ("203.0.113.9, 10.0.0.6", "203.0.113.9:51008", "110.1.2.3", "unknown", "", "unix:")),
        *((ip, False) for ip in ("for=_hidden", [], ["x"], 10, "10.1.2.3.4:5", "[")),
    ],
)
def test_the_networks_of_the_organisation_are_known_as_proxies_write_addresses(ip, is_internal):
    definitions = build({"internal": {"ip_networks": ["10.0.0.0/8", "2001:db8::/32"]}})
    page = {"type": "page", "anonymousId": "a1", "timestamp": TIME}
    for message in (page | {"context": {"ip": ip}}, page | {"properties": {"ip": ip}}, page | {"request_ip": ip}):
        assert event_of(message, definitions=definitions).is_internal is is_internal


@pytest.mark.parametrize(
    ("email", "is_internal"),
    [
        *((email, True) for email in ("dev@acme.test ", "dev@acme.test\n", "DEV@ACME.TEST", "dev@eng.acme.test")),
        *(
            (email, True)
            for email in ("Dev <dev@acme.test>", "mailto:dev@acme.test", "dev@acme.test.", "d@acme.test\u00a0")
        ),
        *(
            (email, False)
            for email in ("dev@notacme.test", "acme.test@customer.test", "acme.test", "d@acme.test.evil.test")
        ),
    ],
)
def test_an_email_of_the_organisation_is_known_as_people_write_it(email, is_internal):
    definitions = build({"internal": {"email_domains": ["acme.test"]}})
    for holder in ({"traits": {"email": email}}, {"context": {"traits": {"email": email}}}):
        message = {"type": "identify", "userId": "u1", "timestamp": TIME} | holder
        assert event_of(message, definitions=definitions).is_internal is is_internal


FRAME = b'{"type":"track","event":"A","userId":"u1","properties":{"t":"%s"}}'


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (rb"hi \ud83d", "hi \ufffd"),
        (rb"\uDC4D\uD83D x", "\ufffd\ufffd x"),
        (rb"\ud83d\ud83d\udc4d", "\ufffd\U0001f44d"),
        (rb"\\ud83d \ud83d", "\\ud83d \ufffd"),
        (b"caf\xe9", "caf\ufffd"),
        (b"a\xf0\x9f\x91", "a\ufffd"),
    ],
)
def test_a_bad_character_becomes_the_replacement_character(written, text):
    event = event_of(FRAME % written)
    assert event.properties == {"t": text}
    calls = b'{"batch":[' + b",".join([FRAME % b"x", FRAME % written, FRAME % b"y"]) + b"]}"
    found, normaliser = outcomes(calls)
    assert [getattr(one, "user_id", None) for one in found] == ["u1"] * 3
    assert normaliser.ignored["message", "bad_character"] == 1


def test_a_bad_character_may_stand_in_any_text_and_hides_no_key():
    assert event_of(FRAME.replace(b'"u1"', rb'"u\ud83d1"') % b"x").user_id == "u\ufffd1"
    call = json.dumps(CALL | {"properties": {"note": "k1abcdefgh X"}}).encode().replace(b"X", rb"\ud83d")
    assert "k1abcdefgh" not in str(event_of(call).properties)
    assert event_of(b"\xef\xbb\xbf" + FRAME % b"x").user_id == "u1"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b'{"x": NaN}', "NaN"),
        (b'{"x": -Infinity}', "-Infinity"),
        (b"{}\n{}", "one"),
        ("{}".encode("utf-16"), "UTF-8"),
        (b"\x00\x00\x00\x00\x07{}", "schema registry"),
        (b'{"x": "\x01"}', "control"),
    ],
)
def test_what_is_no_json_is_refused_with_what_was_sent(value, words):
    refused = refusal_of(value)
    assert refused.reason == "not_json"
    assert words in refused.detail


@pytest.mark.parametrize(
    "nothing",
    [
        *(
            "undefined",
            "null",
            "[object Object]",
            "NaN",
            "None",
            "nil",
            "<nil>",
            "(null)",
            "%!s(<nil>)",
            "NULL",
            "#N/A",
        ),
        *(
            "anonymous",
            "guest",
            "not_authenticated",
            "anonymousUser",
            "0",
            0,
            -1,
            "-",
            '"undefined"',
            "   ",
            "{{user.id}}",
        ),
        *(
            "${USER}",
            "***",
            "xxxxxxxx",
            "[FILTERED]",
            "00000000-0000-0000-0000-000000000000",
            True,
            False,
            [],
            {},
            "\u00a0",
        ),
    ],
)
def test_what_a_program_wrote_for_nothing_is_no_identifier(nothing):
    page = {"type": "page", "timestamp": TIME}
    found, normaliser = outcomes(page | {"userId": nothing, "anonymousId": "a1"})
    assert [(getattr(one, "user_id", None), getattr(one, "anonymous_id", None)) for one in found] == [("", "a1")]
    assert normaliser.ignored == {("user_id", "placeholder"): 1}
    assert event_of(page | {"userId": "u1", "anonymousId": nothing, "groupId": nothing}).company_id == ""
    taken = event_of(page | {"userId": nothing, "context": {"traits": {"userId": "u1"}}})
    assert taken.user_id == "u1"
    refused = refusal_of(page | {"userId": nothing})
    assert refused.reason == "no_identifier"
    assert "stands for nothing" in refused.detail
    assert refusal_of({"type": "alias", "previousId": nothing, "userId": "u1"}).reason == "missing"


@pytest.mark.parametrize(
    ("given", "user"),
    [
        *((text, text) for text in ("Null-4711", "undefined@customer.test", "1", "aa", "admin", "nonesuch")),
        (" u1 ", "u1"),
        ("\ufeffu1\u00a0", "u1"),
        (12345.0, "12345"),
    ],
)
def test_an_identifier_is_stripped_and_kept(given, user):
    assert event_of(TRACK | {"userId": given}).user_id == user


def test_the_list_of_what_is_no_identifier_is_configured():
    page = {"type": "page", "timestamp": TIME, "anonymousId": "a1"}
    definitions = build({"placeholders": ["Robot"]})
    assert event_of(page | {"userId": "robot"}, definitions=definitions).user_id == ""
    assert event_of(page | {"userId": "guest"}, definitions=definitions).user_id == "guest"

"""What becomes of Moesif's API calls where its clients leave something open."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from schemas.config.definitions import load
from schemas.event import Event, Rejected
from streams.normalise.normaliser import Normaliser
from tests.conftest import NOW_MS
from tests.support.worlds import SECRETS, key_alias

NORMALISER = Normaliser(load(), SECRETS)


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


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


TOKEN = "eyJh.eyJz.c2ln"


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ({"X-API-Key": "key-of-header", "Authorization": "Bearer other"}, "", "key-of-header"),
        ({"X-API-Key": ["key-of-header", "x"]}, "", "key-of-header"),
        ({"CB-ACCESS-KEY": "key-of-header"}, "", "key-of-header"),
        ({"authorization": "Bearer key-of-bearer"}, "", "key-of-bearer"),
        ({"Authorization": "Token key-of-token"}, "", "key-of-token"),
        ({"Authorization": "bare-key"}, "", "bare-key"),
        ({"Authorization": basic("a-key-of-basic:")}, "", "a-key-of-basic"),
        ({"Authorization": basic("api:key-of-pair")}, "", "api:key-of-pair"),
        ({"Authorization": f"Bearer {TOKEN}"}, "?apikey=key-of-query", "key-of-query"),
        # A mask hides nothing weaker.
        ({"X-API-Key": "***", "Authorization": "Bearer key-of-bearer"}, "", "key-of-bearer"),
        ({"Authorization": "Bearer [FILTERED]"}, "?token=undefined&key=key-of-query", "key-of-query"),
    ],
)
def test_where_the_key_of_a_call_is_found(headers, query, key):
    event = call(request={"uri": f"/v1/x{query}", "headers": headers}, session_token=key)
    assert event.api_key == key_alias(key)
    # What Moesif calls the session of the call is the key itself.
    assert event.session_token == ""
    assert key not in repr(event)
    assert event.properties["path"] == "/v1/x"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {TOKEN}"},
        {"X-Access-Token": f"Bearer {TOKEN}"},
        {"Authorization": "Bearer eyJh.b.c.d.e"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer null"},
        {"X-API-Key": "[MASKED]"},
        {"Authorization": basic("undefined:null")},
        {"Authorization": "Negotiate YIIabcdef=="},
        {"Authorization": "AWS4-HMAC-SHA256 Credential=ASIAABCDEFGHIJKLMNOP/2026/x, Signature=ff"},
    ],
)
def test_what_is_no_key(headers):
    event = call(request={"uri": "/v1/x?page=1", "headers": headers | {"Cookie": "session=s1"}}, session_token="s1")
    assert (event.api_key, event.session_token) == ("", "s1")


@pytest.mark.parametrize(
    ("authorization", "key"),
    [
        ("AWS4-HMAC-SHA256 Credential=AKIAABCDEFGHIJKLMNOP/2026/x, SignedHeaders=host;date, Signature={}", "AKIAABCDEFGHIJKLMNOP"),
        ("AWS AKIA1:{}", "AKIA1"),
        ("SharedKey account:{}", "account"),
        ('Signature keyId="client-7",headers="(request-target) date",signature="{}"', "client-7"),
        ('Hawk id="dh37", ts="1", mac="{}"', "dh37"),
        ('OAuth oauth_consumer_key="ck1", oauth_nonce="{0}", oauth_signature="{0}"', "ck1"),
        ('Digest username="alice", nonce="{0}", response="{0}"', "alice"),
        ("EG1-HMAC-SHA256 client_token=akab;access_token=x;signature={}", "akab"),
        ("HMAC-SHA256 Credential=0-l1:id1&SignedHeaders=a;b&Signature={}", "0-l1:id1"),
        ("ACME-SIG key=client-9, sig={}", "client-9"),
    ],
)  # fmt: skip
def test_a_signed_call_counts_for_the_credential_and_not_for_the_signature(authorization, key):
    calls = [
        call(request={"uri": "/", "headers": {"Authorization": authorization.format(f"c2ln{i}")}}) for i in range(5)
    ]
    assert {one.api_key for one in calls} == {key_alias(key)}


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("X-Amz-Credential=AKIA1%2F2026%2Fx&X-Amz-Signature=ff", "AKIA1"),
        ("OSSAccessKeyId=LTAI1&Signature=ff&Expires=1", "LTAI1"),
        ("sig=ff&sr=b", ""),
    ],
)
def test_of_a_signed_address_the_signature_is_no_key(query, key):
    assert call(request={"uri": f"https://api.example/x?{query}"}).api_key == (key_alias(key) if key else "")


@pytest.mark.parametrize(
    "session", ["Zk83hQpLw02sVb7RtYcN", "Bearer Zk83hQpLw02sVb7RtYcN", "bearer  Zk83hQpLw02sVb7RtYcN"]
)
@pytest.mark.parametrize("authorization", ["", "[REDACTED]", "Bearer Zk83hQpLw02sVb7RtYcN"])
def test_a_credential_in_moesifs_session_token_is_the_key(session, authorization):
    headers = {"Authorization": authorization} if authorization else {}
    event = call(request={"uri": "/", "headers": headers}, session_token=session, metadata={"note": session})
    assert (event.api_key, event.session_token) == (key_alias("Zk83hQpLw02sVb7RtYcN"), "")
    assert "Zk83hQpLw02sVb7RtYcN" not in repr(event)


def test_a_browsers_session_is_no_key():
    token = "q7x0v3m9k2l4n6b8"
    in_cookie = call(request={"uri": "/", "headers": {"Cookie": f"sessionid={token}"}}, session_token=token)
    of_visitor = call(anonymous_id="a1", session_token=token)
    web_token = call(session_token=f"Bearer {TOKEN}")
    beside_a_key = call(request={"uri": "/", "headers": {"X-Api-Key": "a-key-12345"}}, session_token=token)
    assert [bool(one.api_key) for one in (in_cookie, of_visitor, web_token, beside_a_key)] == [
        False,
        False,
        False,
        True,
    ]
    assert all(one.session_token for one in (in_cookie, of_visitor, web_token, beside_a_key))


@pytest.mark.parametrize(
    ("pair", "user_id", "kept"),
    [
        ("alice:hunter2-password", "alice", "alice"),
        ("a-key-without-password:", "a-key-without-password", ""),
        ("a-key-with-a-dummy:X", "a-key-with-a-dummy", ""),
        ("a-key-with-a-dummy:api_token", "a-key-with-a-dummy", ""),
        ("api:a-key-as-password", "api", ""),
        ("alice:hunter2-password", "hunter2-password", ""),
    ],
)
def test_only_the_secret_part_of_basic_must_stand_nowhere(pair, user_id, kept):
    event = call(request={"uri": "/", "headers": {"Authorization": basic(pair)}}, user_id=user_id)
    assert (event.user_id, bool(event.api_key)) == (kept, True)
    assert kept or len(user_id) < 8 or user_id not in repr(event)


def test_what_was_dropped_is_counted():
    normaliser = Normaliser(load(), SECRETS)
    body = {
        "name": "x",
        "user_id": "u1",
        "api_key": "***",
        "session_token": "undefined",
        "company_id": "sk_live_abcd1234",
    }
    normaliser(json.dumps(body).encode(), source="api", recorded_at=NOW_MS)
    assert normaliser.ignored == {
        ("api_key", "placeholder"): 1,
        ("session_token", "placeholder"): 1,
        ("company_id", "secret_identifier"): 1,
    }


def read(body: Any) -> list[Event]:
    events = NORMALISER(json.dumps(body).encode(), source="web", recorded_at=NOW_MS)
    assert all(isinstance(one, Event) for one in events)
    return events  # type: ignore[return-value]


def test_what_the_browser_library_sends_is_a_visitors():
    page = {"action_name": "Page Viewed", "anonymous_id": "a1", "request": {"uri": "https://x/docs"}}
    known = {"user_id": "u1", "anonymous_id": "a1", "metadata": {"plan": "free"}, "campaign": {"utm_source": "ads"}}
    visitor = {"anonymous_id": "a1", "campaign": {"utm_source": "ads"}}
    events = read([page, {"user_id": "u1"}, known, visitor, {"action_name": "Signed In", "user_id": "u1"}])
    assert [(one.type, one.anonymous_id, one.user_id) for one in events] == [
        ("event", "a1", ""),
        ("identify", "", "u1"),
        ("identify", "a1", "u1"),
        ("identify", "a1", ""),
        ("event", "", "u1"),
    ]
    assert [one.context.get("campaign") for one in events[2:4]] == [{"source": "ads"}] * 2


def test_a_company_without_anybody_is_refused_with_what_is_missing():
    (refused,) = NORMALISER(b'{"company_id": "c1"}', source="web", recorded_at=NOW_MS)
    assert isinstance(refused, Rejected)
    assert "user_id" in refused.detail

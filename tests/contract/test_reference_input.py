"""How raw input is read: formats, times, copies, what makes an event internal or a bot's, and what is refused."""

from __future__ import annotations

import pytest

from schemas.config.definitions import build
from tests.support.reference import Record, Rejection, Resolved, compute
from tests.support.worlds import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    REJECTS,
    SECOND,
    SECRETS,
    Message,
    ad_clicked,
    api_call,
    as_bytes,
    at,
    batch,
    clock,
    event,
    group,
    identify,
    key_alias,
    merge,
    message_sent,
    outcome,
    page_viewed,
    record,
    segment,
    signed_up,
    small_definitions,
)

NINE = at("2026-01-05 09:00")
FULL: Message = {
    "anonymous_id": "a1",
    "session_token": "s1",
    "api_key": "sk_live_1",
    "user_id": "u1",
    "company_id": "acme",
}


@pytest.mark.parametrize(
    "message",
    [
        page_viewed(NINE, "/docs", message_id="m", **FULL),
        signed_up(NINE, message_id="m", **FULL),
        api_call(NINE, message_id="m", environment="test", **FULL),
        ad_clicked(NINE, message_id="m", anonymous_id="a1"),
        identify(NINE, "u1", message_id="m", anonymous_id="a1", traits={"email": "x@own.example"}),
        group(NINE, "u1", "acme", message_id="m"),
        merge(NINE, "u0", "u1", message_id="m"),
    ],
    ids=lambda message: message["name"],
)
@pytest.mark.parametrize("skew", [None, -3 * DAY, 5 * HOUR])
def test_a_segment_call_reads_as_the_native_message(message, skew):
    native = outcome(message)
    call = record(segment(message, skew=skew), NINE + SECOND)
    # Where a call has no place for the source, the topic decides it.
    call = Record(record(message).topic, call.value, call.timestamp_ms)
    whole = Record(call.topic, batch(call.value, call.value), call.timestamp_ms)
    for sent in (call, as_bytes(call), whole):
        published = compute([sent], small_definitions(), SECRETS)
        assert published.rejected == []
        assert published == native


@pytest.mark.parametrize(
    ("call", "alias", "company", "environment"),
    [
        ({"context": {"session_token": "s1"}}, ("session_token", "s1"), "", None),
        ({"context": {"apiKey": "k"}}, ("api_key", key_alias("k")), "", "production"),
        ({"context": {"api_key": "sk_test_1"}}, ("api_key", key_alias("sk_test_1")), "", "test"),
        ({"properties": {"api_key": "k", "company_id": "acme"}}, ("api_key", key_alias("k")), "", "production"),
        ({"userId": 7, "context": {"groupId": "acme", "environment": "test"}}, ("user_id", "7"), "acme", None),
        ({"userId": "7", "context": {"group_id": 12}}, ("user_id", "7"), "12", None),
        ({"userId": "", "anonymousId": "a1", "groupId": None}, ("anonymous_id", "a1"), "", None),
    ],
)
def test_where_a_segment_call_may_carry_what_its_spec_has_no_field_for(call, alias, company, environment):
    message = {"type": "track", "event": "API Call", "messageId": "m", "timestamp": clock(NINE)} | call
    published = compute([Record("api", message, NINE)], small_definitions(), SECRETS)
    assert [(key[1:], resolved.company_id) for key, resolved in published.events.items()] == [(alias, company)]
    assert {row[2] for row in published.activity} == ({environment} if environment else set())


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"time": "2026-01-05T09:00:00Z"}, NINE),
        ({"time": "2026-01-05T11:00:00.1239+02:00"}, NINE + 123),
        ({}, NINE + HOUR),
        ({"received_at": "2026-01-05T09:00:01Z"}, NINE + SECOND),
        # The client's clock is a day ahead; it took two seconds from the event to the sending.
        (
            {
                "original_timestamp": "2026-01-06T09:00:00Z",
                "sent_at": "2026-01-06T09:00:02Z",
                "received_at": "2026-01-05T09:00:02Z",
            },
            NINE,
        ),
        # Without a receipt in the message nothing shows how wrong its clock was.
        ({"time": "2026-01-05T09:00:00Z", "sent_at": "2026-01-05T12:00:05Z"}, NINE),
        ({"original_timestamp": "2026-01-05T09:00:00Z", "sent_at": "2026-01-05T12:00:05Z"}, NINE),
    ],
)
def test_the_time_of_an_event_is_the_clients_corrected_by_what_its_clock_showed(times, expected):
    message = {"name": "Signed Up", "user_id": "ada"} | times
    published = compute([Record("web", message, NINE + HOUR)], small_definitions(), SECRETS)
    assert published.developers["ada"]["first_seen"] == expected


@pytest.mark.parametrize(("api_key", "explicit", "environment"), [
    ("sk_live_1", None, "production"),
    ("sk_test_1", None, "test"),
    ("sk_dev_1", None, "development"),
    ("sk_test_1", "production", "production"),
    ("sk_live_1", "development", "development"),
])  # fmt: skip
def test_the_environment_is_the_events_own_else_the_keys(api_key, explicit, environment):
    published = outcome(api_call(NINE, api_key=api_key, environment=explicit))
    assert {row[2] for row in published.activity} == {environment}


# Copies


def test_copies_are_one_event_at_the_earliest_time():
    times = (NINE + 2 * MINUTE, NINE + MINUTE, NINE + 3 * MINUTE)
    published = outcome(*(page_viewed(time, message_id="m", user_id="ada") for time in times))
    assert published.events == {("m", "user_id", "ada"): Resolved("ada", "", NINE + MINUTE)}
    assert published.event_rows == {("m", "user_id", "ada", "ada", "", NINE + MINUTE)}
    assert published.developers["ada"]["stages"] == {"visit": NINE + MINUTE}


def test_what_takes_the_latest_takes_the_latest_of_the_copies():
    #  acme ──── globex ──── acme (the same call again)
    joined = [group(time, "ada", "acme", message_id="m") for time in (NINE, NINE + 2 * MINUTE)]
    visit = [page_viewed(time, message_id="v", user_id="ada") for time in (NINE, NINE + 3 * MINUTE)]
    ada = outcome(*joined, group(NINE + MINUTE, "ada", "globex"), *visit).developers["ada"]
    assert ada["company_id"] == "acme"
    assert (ada["first_seen"], ada["last_active"]) == (NINE, NINE + 3 * MINUTE)


def test_the_same_message_id_under_another_alias_is_another_event():
    published = outcome(signed_up(NINE, message_id="m", user_id="ada"), signed_up(NINE, message_id="m", user_id="bob"))
    assert published.events.keys() == {("m", "user_id", "ada"), ("m", "user_id", "bob")}


def test_copies_that_disagree_show_every_stage_but_count_once():
    # messages: three of them and a connection
    sent = [message_sent(NINE + i, message_id="same", user_id="ada", properties={"n": i}) for i in range(3)]
    claims = [event(name, NINE, message_id="m", user_id="ada") for name in ("Signed Up", "Connection Held")]
    ada = outcome(*sent, event("Connection Held", NINE, user_id="ada"), *claims).developers["ada"]
    assert ada["stages"] == {"signup": NINE}
    assert ada["activations"] == {}


def test_without_a_message_id_the_content_makes_the_event_and_not_the_time_of_sending():
    call = segment(signed_up(NINE, message_id="", user_id="ada"), skew=0)
    del call["messageId"]
    later = call | {"sentAt": clock(NINE + MINUTE), "receivedAt": clock(NINE + MINUTE)}
    published = compute([record(call), record(later)], small_definitions(), SECRETS)
    assert len(published.events) == 1
    other = compute([record(call), record(call | {"originalTimestamp": clock(NINE + 1)})], small_definitions(), SECRETS)
    assert len(other.events) == 2
    spelled_out = {"name": "Signed Up", "user_id": 42, "environment": "production", "time": "2026-01-05T10:00:00+01:00"}
    same = {"name": "Signed Up", "user_id": "42", "time": "2026-01-05T09:00:00Z"}
    assert len(compute([record(spelled_out, NINE), record(same, NINE)], small_definitions(), SECRETS).events) == 1


def test_a_page_call_may_hold_the_address_only_in_its_context():
    call = {"type": "page", "anonymousId": "a1", "timestamp": clock(NINE), "context": {"page": {"path": "/docs/x"}}}
    published = compute([Record("web", call, NINE)], small_definitions(), SECRETS)
    assert published.developers["anonymous_id:a1"]["stages"] == {"visit": NINE, "docs": NINE}


def test_calls_about_identity_are_no_steps_of_a_journey():
    call = identify(NINE, "ada") | {"name": "Signed Up", "context": {"campaign": {"name": "may"}}}
    assert outcome(call).developers == {}


# Marks


@pytest.mark.parametrize(
    ("fields", "is_internal"),
    [
        ({"traits": {"email": "ada@own.example"}}, True),
        ({"traits": {"email": "Ada@Lab.OWN.example"}}, True),
        ({"properties": {"email": "ada@own.example"}}, True),
        ({"traits": {"email": "ada@notown.example"}}, False),
        ({"traits": {"email": "own.example"}}, False),
        ({"user_id": "employee"}, True),
        ({"company_id": "own"}, True),
        ({"context": {"ip": "10.200.0.1"}}, True),
        ({"properties": {"ip": "10.200.0.1"}}, True),
        ({"context": {"ip": "11.0.0.1"}}, False),
        ({"context": {"ip": "no address"}}, False),
    ],
)
def test_what_makes_an_event_internal(fields, is_internal):
    published = outcome(event("Signed Up", NINE, **({"user_id": "ada"} | fields)))
    assert [profile["is_internal"] for profile in published.developers.values()] == [is_internal]


@pytest.mark.parametrize(
    ("agent", "is_bot"),
    [("Mozilla/5.0 (compatible; GOOGLEBOT/2.1)", True), ("HeadlessChrome/120", True), ("firstcall-python/1.0", False)],
)
@pytest.mark.parametrize("field", ["userAgent", "user_agent"])
def test_what_makes_an_event_a_bots(field, agent, is_bot):
    published = outcome(signed_up(NINE, user_id="ada", context={field: agent}))
    assert ("ada" not in published.developers) is is_bot


PAGE = "https://api.example/docs"


@pytest.mark.parametrize(
    ("properties", "context", "touch"),
    [
        ({}, {}, None),
        ({"url": PAGE, "referrer": "https://www.API.example:443/"}, {}, None),
        ({"url": PAGE, "referrer": "https://WWW.n.example/1"}, {}, {"referrer": "n.example"}),
        ({}, {"page": {"url": PAGE, "referrer": "https://n.example/1"}}, {"referrer": "n.example"}),
        ({"utm_campaign": "may", "utm_medium": "mail"}, {}, {"campaign": "may", "medium": "mail"}),
        (
            {"url": PAGE + "?utm_source=x&utm_term=a+b&utm_content=c"},
            {},
            {"source": "x", "term": "a b", "content": "c"},
        ),
        ({}, {"campaign": {"name": "may", "content": "blue"}}, {"campaign": "may", "content": "blue"}),
        ({"utm_campaign": "june", "utm_term": "x"}, {"campaign": {"name": "may"}}, {"campaign": "may", "term": "x"}),
        ({"utm_term": "x", "url": PAGE + "?utm_source=y&utm_term=z"}, {}, {"term": "x", "source": "y"}),
    ],
)
def test_a_web_event_with_a_campaign_or_a_referrer_from_elsewhere_is_a_touch(properties, context, touch):
    published = outcome(page_viewed(NINE, "/docs", properties, user_id="ada", context=context))
    expected = touch | {"path": "/docs", "name": "Page Viewed"} if touch else {}
    assert published.developers["ada"]["first_touch"] == expected
    assert published.developers["ada"]["first_touch_at"] == (NINE if touch else None)


def test_an_api_event_is_no_touch_and_a_selected_web_event_always_is():
    called = outcome(api_call(NINE, user_id="ada", context={"campaign": {"name": "may"}}))
    assert called.developers["ada"]["first_touch"] == {}
    accepted = outcome(event("Invitation Accepted", NINE, user_id="ada"))
    assert accepted.developers["ada"]["first_touch"] == {"name": "Invitation Accepted"}


@pytest.mark.parametrize(
    ("test", "passing", "failing"),
    [
        ({"equals": "a"}, ["a"], ["b", None, 1]),
        ({"equals": ["a", 1]}, ["a", 1, 1.0], ["1", True, None]),
        ({"equals": True}, [True], [1, "true"]),
        ({"prefix": "/docs"}, ["/docs", "/docs/x"], ["/doc", 5, None]),
        ({"lt": 400}, [399, 200.5], [400, "200", True, None]),
        ({"gte": 200, "lte": 299}, [200, 299], [199, 300]),
        ({"gt": 0}, [1], [0]),
        ({"lt": 400, "or_missing": True}, [None, 200], [500]),
        ({"exists": True}, ["", 0, False], [None]),
        ({"exists": False}, [None], ["", 0]),
    ],
)
def test_what_a_property_test_accepts(test, passing, failing):
    sections = {"selectors": build({}).model_dump()["selectors"] | {"sign_up": {"properties": {"x": test}}}}
    definitions = build(sections)
    for values, passes in ((passing, True), (failing, False)):
        for value in values:
            message = event("Unheard Of", NINE, user_id="ada", properties={"x": value})
            assert ("ada" in outcome(message, definitions=definitions).developers) is passes, value


# Refusals


@pytest.mark.parametrize(("one", "reason", "field"), REJECTS)
def test_what_is_no_event_is_refused_with_the_reason_and_the_field(one, reason, field):
    published = compute([one], small_definitions(), SECRETS)
    assert published.rejected == [Rejection(one.topic, reason, field)]
    assert published.events == {}


def test_each_call_of_a_batch_is_accepted_or_refused_by_itself():
    good = segment(signed_up(NINE, message_id="m", user_id="ada"))
    message = batch(good, {"type": "imagine"}, "no object", batch(good))
    published = compute([Record("web", message, NINE)], small_definitions(), SECRETS)
    assert list(published.events) == [("m", "user_id", "ada")]
    assert len(published.rejected) == 3


def test_an_event_may_be_a_day_ahead_of_its_receipt_and_no_more():
    message = {"name": "Signed Up", "user_id": "ada", "time": clock(MONDAY + DAY)}
    assert compute([Record("web", message, MONDAY)], small_definitions(), SECRETS).rejected == []
    assert len(compute([Record("web", message, MONDAY - 1)], small_definitions(), SECRETS).rejected) == 1
    received = message | {"received_at": clock(MONDAY)}
    assert compute([Record("web", received, MONDAY - 1)], small_definitions(), SECRETS).rejected == []

"""Concentration, growth, churn risks, power users and accounts: small stories by hand, and everything against the reference."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import Phase, given, settings

from schemas.config.definitions import build
from schemas.event import Event
from sinks.definition_rows import write_definitions
from sinks.reconcile import reconcile
from streams.normalise.normaliser import Normaliser
from tests.support.audited import load
from tests.support.contract_reader import rows
from tests.support.query_numbers import query_differences
from tests.support.reference import compute
from tests.support.tables import empty_tables
from tests.support.usage_contract import answer, text, usage_differences
from tests.support.worlds import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    SECRETS,
    Message,
    api_call,
    event,
    identify,
    key_alias,
    key_created,
    page_viewed,
    record,
    signed_up,
    small_definitions,
    worlds,
)

SHIPPED = build({})


@pytest.fixture
def load_story(client, address):
    """Runs messages through the streams and the sink into tables that were empty."""

    def run(*messages, definitions=SHIPPED):
        empty_tables(client)
        records = [record(message) for message in messages]
        load(address, records, definitions)
        write_definitions(client, definitions)
        reconcile(client)
        return compute(records, definitions, SECRETS)

    return run


def developer(name: str, at: int, company: str | None = None) -> list[Message]:
    """Somebody who signs up and makes a key."""
    return [
        signed_up(at, user_id=name, company_id=company),
        key_created(at + MINUTE, user_id=name, api_key=f"sk_live_{name}", company_id=company),
    ]


def calls(name: str, *times: int, **fields: Any) -> list[Message]:
    return [api_call(time, api_key=f"sk_live_{name}", message_id=f"{name}-{time}", **fields) for time in times]


def concentrations(client, at: int | None = None) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    found = rows(
        client,
        "SELECT level, window_hours, calls, subjects, largest, round(herfindahl, 4) FROM concentration_at(at = {at:String})",
        {"at": "" if at is None else text(at)},
    )
    return {tuple(row[:2]): row[2:] for row in found}


# Against the reference


@settings(max_examples=4, phases=[Phase.generate])
@given(world=worlds())
def test_every_number_of_any_world_is_that_of_the_reference(connected, address, world):
    empty_tables(connected)
    definitions = small_definitions()
    load(address, world, definitions)
    write_definitions(connected, definitions)
    reconcile(connected)
    assert usage_differences(connected, compute(world, definitions, SECRETS), definitions, moments=1) == []


def test_every_number_of_a_population_is_that_of_the_reference(client, address, simulated):
    load(address, simulated, SHIPPED)
    write_definitions(client, SHIPPED)
    reconcile(client)
    published = compute(simulated, SHIPPED, SECRETS)
    assert len(published.calls) > 1_000
    assert usage_differences(client, published, SHIPPED, moments=3) == []
    assert query_differences(client, published, SHIPPED) == []


# Concentration


def test_a_window_includes_its_end_and_not_its_start(client, load_story):
    """
    hour     10:00      ...      10:00
    window     (────── 24 h ───────]
    calls      a                   b  c
    """
    ten = MONDAY + 10 * HOUR
    load_story(*developer("a", MONDAY), *calls("a", ten, ten + DAY, ten + DAY + 1))
    assert concentrations(client, ten + DAY)["token", 24][0] == 1
    assert concentrations(client, ten + DAY)["token", 168][0] == 2
    assert concentrations(client, ten + DAY + 1)["token", 24][0] == 2
    assert concentrations(client)["token", 168][0] == 3


def test_midnight_is_of_the_day_that_ends(client, load_story):
    load_story(*developer("a", MONDAY), *calls("a", MONDAY + DAY, MONDAY + DAY + 1))
    found = rows(
        client,
        "SELECT toString(toDate(hour)), calls FROM concentration WHERE level = 'token' AND window_hours = 24 ORDER BY hour",
    )
    assert found == [("2026-01-06", 1), ("2026-01-07", 1)]


def test_windows_stay_exact_however_far_apart_the_calls_are(client, load_story):
    """
    days     0    27        55         84    9,500
    between    27     28        29                    each of it with a call at midnight and one an hour later
    """
    moments = [MONDAY - 9_500 * DAY + days * DAY for days in (0, 27, 55, 84, 9_500)]
    moments += [moment + HOUR for moment in moments]
    published = load_story(
        *developer("a", MONDAY), *developer("b", MONDAY), *calls("a", *moments), *calls("b", *moments[3:])
    )
    assert usage_differences(client, published, SHIPPED, moments=2) == []


def test_one_event_of_another_century_costs_no_memory_for_all_days_since(client, load_story):
    load_story(*developer("a", MONDAY), page_viewed(MONDAY - 9_500 * DAY, anonymous_id="old"))
    client.command(
        "INSERT INTO usage_rows (day, alias_kind, alias, api_key, environment, source, type, name, events, hours, version)"
        " SELECT toDate('2026-01-05') - intDiv(number, 2000), 'api_key', hex(sipHash128(number % 2000)) AS key, key, 'production',"
        " 'api', 'event', 'API Call', 5, map(10, 5), 1 FROM numbers(20000)"
    )
    found = rows(client, "SELECT max(subjects) FROM concentration SETTINGS max_memory_usage = 300000000")
    assert found == [(2_000,)]


def test_shares_are_of_companies_and_of_apps(client, load_story):
    one, two, three = developer("ann", MONDAY, "acme"), developer("bob", MONDAY, "acme"), developer("eve", MONDAY)
    moments = [MONDAY + HOUR + i * MINUTE for i in range(6)]
    load_story(*one, *two, *three, *calls("ann", *moments[:3]), *calls("bob", moments[0]), *calls("eve", *moments))
    found = concentrations(client)
    assert found["company", 24] == (4, 1, "acme", 1)
    assert found["token", 24] == (10, 3, key_alias("sk_live_eve"), round((36 + 9 + 1) / 100, 4))


def test_neither_test_calls_nor_those_of_the_own_organisation_concentrate(client, load_story):
    definitions = build({"internal": {"email_domains": ["own.example"]}})
    moments = [MONDAY + HOUR + i * MINUTE for i in range(4)]
    load_story(
        *developer("ann", MONDAY),
        *developer("own", MONDAY),
        signed_up(MONDAY, user_id="own", traits={"email": "me@own.example"}, message_id="own"),
        *calls("ann", moments[0]),
        *calls("own", *moments),
        api_call(moments[1], api_key="sk_test_ann", user_id="ann"),
        definitions=definitions,
    )
    assert concentrations(client)["token", 672] == (1, 1, key_alias("sk_live_ann"), 1)


def test_no_call_of_the_own_people_counts_though_nothing_else_is_known_of_them(client, load_story):
    """No stage or activation looks at these calls, so nothing is published of a developer who makes no others."""
    definitions = build({"internal": {"email_domains": ["own.example"]}})
    call = partial(event, "Outgoing API Call", source="api", company_id="acme", properties={"status": 200})
    published = load_story(
        identify(MONDAY, "own", traits={"email": "me@own.example"}),
        call(MONDAY + HOUR, user_id="own", api_key="sk_live_own"),
        *developer("ann", MONDAY),
        definitions=definitions,
    )
    assert published.calls == []
    assert answer(client, "top-companies") == []
    assert {row["calls"] for row in answer(client, "usage")} <= {0}
    assert usage_differences(client, published, definitions) == []
    assert rows(client, "SELECT is_internal, first_seen FROM developers WHERE id = 'own'") == [(True, None)]


@pytest.mark.parametrize("address_of", ["10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203"])
def test_an_own_address_is_known_in_each_of_its_spellings(client, load_story, address_of):
    definitions = build({"internal": {"ip_networks": ["10.0.0.0/8"]}})
    published = load_story(
        api_call(MONDAY, api_key="sk_live_own", context={"ip": address_of}),
        api_call(MONDAY, api_key="sk_live_ann", context={"ip": "::ffff:11.1.2.3"}),
        definitions=definitions,
    )
    assert [call.token for call in published.calls] == [key_alias("sk_live_ann")]
    assert usage_differences(client, published, definitions) == []


@pytest.mark.parametrize(
    ("status", "counts"), [("200", (0, 0, 1)), (200.0, (0, 0, 1)), ("404", (1, 0, 0)), (503.0, (0, 1, 0)), (True, None)]
)
def test_a_status_is_a_number_however_the_gateway_writes_it(client, load_story, status, counts):
    published = load_story(*developer("ann", MONDAY), *calls("ann", MONDAY + HOUR, status=status))
    assert usage_differences(client, published, build({})) == []
    (day,) = [row for row in answer(client, "usage") if row["calls"]]
    (first_calls,) = rows(client, "SELECT countIf(first_call_at IS NOT NULL) FROM developers")
    if counts is not None:
        assert (day["client_errors"], day["server_errors"], *first_calls) == counts


def test_growth_goes_on_when_use_has_ended(client, load_story):
    load_story(
        *developer("ann", MONDAY),
        *calls("ann", *(MONDAY + HOUR + day * DAY for day in range(10))),
        page_viewed(MONDAY + 28 * DAY, anonymous_id="a"),
    )
    found = [(row["value"], row["week_before"], row["growth_percent"]) for row in answer(client, "growth")]
    assert found == [(1, 0, None), (1, 1, 0), (0, 1, -100), (0, 0, None)]
    assert [row["active_developers"] for row in answer(client, "active")] == [1, 1, 0, 0]


def test_a_selector_by_properties_decides_what_use_is(client, load_story):
    definitions = build({"usage": "successful_call"})
    published = load_story(
        *developer("ann", MONDAY),
        *calls("ann", MONDAY + HOUR),
        *calls("ann", MONDAY + HOUR + 1, status=500),
        definitions=definitions,
    )
    assert concentrations(client)["token", 24][0] == 1
    assert usage_differences(client, published, definitions, moments=0) == []


# Churn risks and power users


def risks(client, at: int) -> set[tuple[str, str, str]]:
    found = rows(client, "SELECT level, definition, subject_id FROM churn_risks_at(at = {at:String})", {"at": text(at)})
    return {tuple(row) for row in found}


def test_who_never_called_is_at_risk_when_the_hours_are_over(client, load_story):
    """
    ann   sign-up ───────── 24 h ─────────▶ at risk
    bob   sign-up ── call
    eve   sign-up ─────────────────────────▶ at risk ── late call: no more
    """
    load_story(
        *(developer("ann", MONDAY) + developer("bob", MONDAY) + developer("eve", MONDAY)),
        *calls("bob", MONDAY + 2 * HOUR),
        *calls("eve", MONDAY + 30 * HOUR),
    )
    silent = "developer", "no_call_after_signup"
    assert risks(client, MONDAY + DAY - HOUR) == set()
    assert risks(client, MONDAY + DAY) == {(*silent, "ann"), (*silent, "eve")}
    assert risks(client, MONDAY + 31 * HOUR) == {(*silent, "ann")}


def test_use_before_the_stage_does_not_help(client, load_story):
    load_story(
        key_created(MONDAY, user_id="ann", api_key="sk_live_ann"),
        *calls("ann", MONDAY + HOUR),
        signed_up(MONDAY + 5 * HOUR, user_id="ann"),
    )
    assert ("developer", "no_call_after_signup", "ann") in risks(client, MONDAY + 5 * HOUR + DAY)


def test_who_used_it_is_at_risk_after_days_of_silence(client, load_story):
    load_story(*developer("ann", MONDAY, "acme"), *calls("ann", MONDAY + 30 * MINUTE))
    # The hour of the call ends at one o'clock.
    over = MONDAY + HOUR + 14 * DAY
    assert risks(client, over - HOUR) == set()
    assert risks(client, over) == {("developer", "gone_quiet", "ann"), ("company", "gone_quiet", "acme")}
    found = answer(client, "churn-risk", at=text(over), company="acme", level="developer")
    assert [(row["subject"], row["days_silent"]) for row in found] == [("ann", 14)]


def test_a_power_user_is_there_on_enough_days_of_the_last_ones(client, load_story):
    definitions = build({"power_users": {"often": {"levels": ["developer"], "active_days": 3, "of_days": 5}}})
    load_story(
        *developer("ann", MONDAY),
        *calls("ann", *(MONDAY + HOUR + day * DAY for day in (0, 2, 4))),
        definitions=definitions,
    )
    found = "SELECT subject_id, active_days FROM power_users_at(at = {at:String})"
    assert rows(client, found, {"at": text(MONDAY + 5 * DAY)}) == [("ann", 3)]
    assert rows(client, found, {"at": text(MONDAY + 5 * DAY + 1)}) == []
    assert rows(client, found, {"at": text(MONDAY + 4 * DAY)}) == []


# Accounts and journeys


def test_a_companys_journey_has_what_names_it_and_what_leads_to_it(client, load_story):
    load_story(
        page_viewed(MONDAY - HOUR, anonymous_id="laptop"),
        signed_up(MONDAY, user_id="ann", anonymous_id="laptop"),
        key_created(MONDAY + MINUTE, user_id="ann", api_key="sk_live_ann", company_id="acme"),
        *calls("ann", MONDAY + HOUR),
        # Of another company's developer, once with the key of acme and once in its name.
        *developer("bob", MONDAY + 2 * HOUR, "other"),
        api_call(MONDAY + 3 * HOUR, user_id="bob", api_key="sk_live_ann"),
        page_viewed(MONDAY + 4 * HOUR, user_id="bob", company_id="acme"),
        *developer("bob", MONDAY + 5 * HOUR, "other"),
    )
    of_view = "SELECT time, name, alias FROM {} ORDER BY time, name"
    journey = rows(client, of_view.format("company_journey(company = 'acme')"))
    assert journey == rows(client, of_view.format("events_resolved WHERE company_id = 'acme'"))
    assert len(journey) == 6
    found = answer(client, "journey", company="acme", **{"from": text(MONDAY), "to": text(MONDAY + 2 * HOUR)})
    assert [row["name"] for row in found] == ["Signed Up", "API Key Created", "API Call"]
    both = answer(client, "journey", company="acme", developer="bob")
    assert [row["name"] for row in both] == ["API Call", "Page Viewed"]


def test_a_companys_journey_begins_with_as_many_events_as_are_asked_for_in_whatever_week_they_are(client, load_story):
    days = (0, 1, 1.5, 6, 7, 7.5, 20, 21)
    load_story(
        *developer("ann", MONDAY, "acme"),
        *calls("ann", *(int(MONDAY + HOUR + day * DAY) for day in days)),
        # It counts for nothing, so the company is seen later than it.
        page_viewed(MONDAY - 30 * DAY, company_id="acme", user_id="ann", context={"userAgent": "Googlebot/2.1"}),
    )
    everything = rows(
        client, "SELECT toString(time), time FROM events_resolved WHERE company_id = 'acme' ORDER BY time"
    )
    assert len(everything) > len(days)
    for since in ("", text(MONDAY), text(MONDAY + 2 * DAY), text(MONDAY + 19 * DAY), text(MONDAY + 40 * DAY)):
        expected = [row for row in everything if row[0] >= since]
        for limit in range(len(everything) + 2):
            found = answer(client, "journey", company="acme", limit=str(limit), **{"from": since})
            assert [row["time"] for row in found] == [time for _, time in expected[:limit]], (since, limit)
        until = text(MONDAY + 3 * DAY)
        found = answer(client, "journey", company="acme", limit="100", **{"from": since, "to": until})
        assert len(found) == sum(row[0] < until for row in expected), since


def test_an_empty_database_and_one_event_have_no_numbers(client, load_story):
    for messages in ((), (page_viewed(MONDAY, anonymous_id="laptop"),)):
        load_story(*messages)
        for name in ("concentration", "growth", "churn-risk", "power-users", "account", "journey", "top-companies"):
            assert answer(client, name) == []
        assert answer(client, "concentration", **{"from": text(MONDAY - DAY)}) == []
        assert {row["calls"] for row in answer(client, "usage")} <= {0}


# The library of a user agent


@pytest.mark.parametrize(
    ("context", "sdk"),
    [
        ({"userAgent": "Acme-Python/2.1 (CPython 3.12)"}, "acme-python"),
        ({"user_agent": "curl/8.4.0"}, "curl"),
        ({"userAgent": "Mozilla/5.0 (Macintosh)"}, "mozilla"),
        ({"userAgent": "@acme/sdk/1.0"}, "@acme/sdk"),
        ({"userAgent": "  Go-http-client"}, "go-http-client"),
        ({"userAgent": "x" * 500}, "x" * 64),
        ({"userAgent": "(nothing)"}, None),
        ({"userAgent": 7}, None),
        ({"userAgent": "curl/8", "sdk": "ruby"}, "ruby"),
        ({"userAgent": "curl/8", "sdk": ""}, "curl"),
        ({}, None),
    ],
)
def test_the_library_is_the_first_product_of_the_user_agent(context, sdk):
    normalise = Normaliser(SHIPPED, SECRETS)
    (event,) = normalise(
        orjson.dumps(api_call(MONDAY, api_key="sk_live_1", context=context)), source="api", recorded_at=MONDAY
    )
    assert isinstance(event, Event)
    assert event.context.get("sdk") == sdk
    (page,) = normalise(
        orjson.dumps(page_viewed(MONDAY, anonymous_id="a", context=context)), source="web", recorded_at=MONDAY
    )
    assert isinstance(page, Event)
    assert page.context == context


def test_an_api_call_of_moesifs_has_the_library_of_its_headers():
    call = {
        "request": {
            "time": "2026-01-05T10:00:00.000",
            "uri": "https://api.example/v1",
            "verb": "GET",
            "headers": {"User-Agent": "acme-node/1.2", "X-Api-Key": "sk_live_ann"},
        },
        "response": {"time": "2026-01-05T10:00:00.041", "status": 200},
        "user_id": "ann",
    }
    (event,) = Normaliser(SHIPPED, SECRETS)(orjson.dumps(call), source="api", recorded_at=MONDAY + DAY)
    assert isinstance(event, Event)
    assert (event.context["sdk"], event.is_use) == ("acme-node", True)

"""Touches, credit and outreach in ClickHouse: what the reference computes from the same events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.simulator import Population
from schemas.config.definitions import build
from sinks.definition_rows import write_definitions
from streams.topology import source_of
from tests.support.attribution import answer, attribution_differences
from tests.support.audited import load
from tests.support.contract_reader import rows
from tests.support.reference import Record, compute
from tests.support.tables import empty_tables
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    SECRETS,
    ad_clicked,
    api_call,
    deliveries,
    group,
    identify,
    page_viewed,
    record,
    signed_up,
    small_definitions,
    talk_given,
    worlds,
)

DEFINITIONS = small_definitions()
WEEK = 7 * DAY


@pytest.fixture
def load_story(client, address):
    """Runs messages through streams and sink; the client of their tables."""

    def run(*messages):
        load(address, [record(message) for message in messages], DEFINITIONS)
        write_definitions(client, DEFINITIONS)
        return client

    return run


def clicks(*times: int, **fields):
    return [ad_clicked(time, campaign=f"c{place}", **fields) for place, time in enumerate(times, 1)]


def credit(client, model: str, level: str = "developer", conversion: str = "signup") -> dict[str, float]:
    query = """
        SELECT campaign, credit FROM attribution
        WHERE model = {model:String} AND level = {level:String} AND conversion = {conversion:String}"""
    found = rows(client, query, {"model": model, "level": level, "conversion": conversion})
    return {campaign: float(part) for campaign, part in found}


# Against the reference


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(data=st.data())
def test_any_world_in_any_order_has_the_touches_and_credits_of_the_reference(client, address, data):
    empty_tables(client)
    records = data.draw(worlds())
    load(address, data.draw(deliveries(records)), DEFINITIONS)
    write_definitions(client, DEFINITIONS)
    lines = attribution_differences(client, compute(records, DEFINITIONS, SECRETS), DEFINITIONS)
    assert not lines, "\n".join(lines)
    assert first_touches_that_differ(client) == []


def test_a_population_has_the_touches_and_credits_of_the_reference(client, address):
    definitions = build({"internal": {"email_domains": ["firstcall.example"]}})
    records = [
        Record(source_of(topic), value, MONDAY + 200 * DAY)
        for topic, value in Population(seed=5, developers=60, days=40).messages()
    ]
    load(address, records, definitions)
    write_definitions(client, definitions)
    lines = attribution_differences(client, compute(records, definitions, SECRETS), definitions)
    assert not lines, "\n".join(lines[:20])
    assert first_touches_that_differ(client) == []
    assert rows(client, "SELECT count() > 100 FROM touches") == [(1,)]


def first_touches_that_differ(client) -> list[tuple[Any, ...]]:
    """Subjects whose profile names another first touch than the first of their touches."""
    fields = ("campaign", "source", "medium", "term", "content", "referrer", "path", "name")
    pairs = ", ".join(f"'{field}', toString({field})" for field in fields)
    return rows(
        client,
        f"""
        SELECT level, id, first_touch_at, first_touch, firsts.touched_at, firsts.touch
        FROM (SELECT * FROM profile_rows FINAL WHERE NOT is_internal AND NOT is_bot) AS profiles
        FULL JOIN
        (
            SELECT level, subject_id AS id, toNullable(touched_at) AS touched_at, mapFilter((field, text) -> text != '', map({pairs})) AS touch
            FROM touches ORDER BY touched_at, texts, event_hash LIMIT 1 BY level, subject_id
        ) AS firsts USING (level, id)
        WHERE NOT (isNull(first_touch_at) AND isNull(firsts.touched_at))
            AND (first_touch_at IS DISTINCT FROM firsts.touched_at
                OR arraySort(mapKeys(first_touch)) != arraySort(mapKeys(firsts.touch))
                OR arrayExists(field -> first_touch[field] != firsts.touch[field], mapKeys(first_touch)))""",
    )


# Credit


def test_one_touch_has_all_the_credit_by_every_model(load_story):
    client = load_story(*clicks(MONDAY, user_id="u"), signed_up(MONDAY + HOUR, user_id="u"))
    assert [credit(client, model) for model in ("first", "last", "linear", "position")] == [{"c1": 1}] * 4


def test_two_touches_share_alike_by_position(load_story):
    client = load_story(*clicks(MONDAY, MONDAY + 1, user_id="u"), signed_up(MONDAY + HOUR, user_id="u"))
    assert credit(client, "first") == {"c1": 1}
    assert credit(client, "last") == {"c2": 1}
    assert credit(client, "linear") == credit(client, "position") == {"c1": 0.5, "c2": 0.5}


def test_of_five_touches_the_ends_have_forty_percent_each_by_position(load_story):
    """
    c1   c2   c3   c4   sign-up with c5   c6
    40    7    7    7         40           -     after the conversion
    """
    times = [MONDAY + day * DAY for day in range(6)]
    client = load_story(*clicks(*times, user_id="u"), signed_up(times[4], user_id="u"))
    assert credit(client, "position") == pytest.approx(
        {"c1": 0.4, "c2": 0.2 / 3, "c3": 0.2 / 3, "c4": 0.2 / 3, "c5": 0.4}
    )
    assert credit(client, "linear") == pytest.approx(dict.fromkeys(("c1", "c2", "c3", "c4", "c5"), 0.2))
    assert credit(client, "last") == {"c5": 1}


def test_credits_of_seven_touches_add_up_to_exactly_one(load_story):
    client = load_story(*clicks(*range(MONDAY, MONDAY + 7), user_id="u"), signed_up(MONDAY + HOUR, user_id="u"))
    assert rows(client, "SELECT DISTINCT sum(credit) = 1 FROM attribution GROUP BY model") == [(1,)]


def test_who_converted_without_a_touch_has_one_row_a_model(load_story):
    client = load_story(signed_up(MONDAY, user_id="u"), *clicks(MONDAY + 1, user_id="u"))
    found = rows(client, "SELECT model, touches, position, credit, touched_at, name FROM attribution ORDER BY model")
    assert found == [(model, 0, 0, 1, None, "") for model in ("first", "last", "linear", "position")]
    assert answer(client, "attribution")[0][:3] == ("(no touch)", 1, 100)


def test_only_touches_of_the_days_before_count_with_a_lookback(load_story):
    client = load_story(*clicks(MONDAY, MONDAY + 9 * DAY, user_id="u"), signed_up(MONDAY + 10 * DAY, user_id="u"))
    assert {row[0] for row in answer(client, "attribution", model="linear", lookback="1")} == {"c2"}
    assert {row[0] for row in answer(client, "attribution", model="linear", lookback="10")} == {"c1", "c2"}


def test_credit_is_shown_by_any_field_of_a_touch_and_by_any_model(load_story):
    client = load_story(*clicks(MONDAY, MONDAY + DAY, user_id="u"), signed_up(MONDAY + 2 * DAY, user_id="u"))
    for field in ("campaign", "source", "medium", "term", "content", "referrer", "path", "name"):
        for model in ("first", "last", "linear", "position"):
            found = answer(client, "attribution", by=field, model=model)
            assert sum(row[1] for row in found) == 1, (field, model, found)
            # A query of one model agrees with the view of all.
            column = f"SELECT DISTINCT if({field} = '', '(none)', toString({field})) FROM attribution WHERE model = '{model}'"
            assert {(row[0],) for row in found} == set(
                rows(client, f"{column} AND conversion = 'signup' AND level = 'developer'")
            )


def test_the_touches_of_a_visitor_who_signed_up_without_a_name_count(load_story):
    client = load_story(*clicks(MONDAY, anonymous_id="browser"), signed_up(MONDAY + HOUR, anonymous_id="browser"))
    assert answer(client, "attribution", model="first")[0][:3] == ("c1", 1, 100)


def test_a_company_has_the_touches_of_all_its_developers(load_story):
    """
    ann   ad c1 ── sign-up
    bob                ad c2 ── activated the company
    """
    client = load_story(
        ad_clicked(MONDAY, campaign="c1", anonymous_id="laptop"),
        signed_up(MONDAY + HOUR, user_id="ann", anonymous_id="laptop"),
        group(MONDAY + HOUR + 1, "ann", "acme"),
        group(MONDAY + HOUR + 2, "bob", "acme"),
        ad_clicked(MONDAY + 2 * HOUR, campaign="c2", user_id="bob"),
        api_call(MONDAY + 3 * HOUR, user_id="bob", api_key="sk_live_1"),
    )
    assert credit(client, "linear", "company") == {"c1": 1}
    assert credit(client, "linear", "company", "activated:first_call") == {"c1": 0.5, "c2": 0.5}
    found = rows(
        client, "SELECT subject_id, campaign, developer_id FROM touches WHERE level = 'company' ORDER BY campaign"
    )
    assert found == [("acme", "c1", "ann"), ("acme", "c2", "bob")]


# Content before sign-up


def test_content_before_sign_up_is_a_touch_that_came_earlier_than_the_sign_up(load_story):
    from_elsewhere = {"referrer": "https://search.example/"}
    client = load_story(
        ad_clicked(MONDAY, user_id="content"),
        page_viewed(MONDAY, user_id="referred", properties=from_elsewhere),
        ad_clicked(MONDAY + HOUR, user_id="at once"),
        ad_clicked(MONDAY + 2 * HOUR, user_id="later"),
        *(signed_up(MONDAY + HOUR, user_id=user) for user in ("content", "referred", "at once", "later")),
        signed_up(MONDAY + WEEK + 1, user_id="untouched"),
    )
    assert answer(client, "content-before-signup") == [
        ("developer", "2026-01-05", 4, 2, 1, 50, 25),
        ("developer", "2026-01-12", 1, 0, 0, 0, 0),
    ]
    assert answer(client, "content-before-signup", per="all") == [("developer", "all", 5, 2, 1, 40, 20)]


# Outreach


def signups(time: int, technology: str, how_many: int):
    return [
        signed_up(time + place, user_id=f"{technology}{time}{place}", properties={"technology": technology})
        for place in range(how_many)
    ]


def test_outreach_and_sign_ups_are_counted_by_technology_and_week(load_story):
    client = load_story(
        talk_given(MONDAY + HOUR, "Python 3"),
        talk_given(MONDAY + 2 * WEEK + HOUR, "go"),
        *signups(MONDAY + 2 * WEEK + HOUR, "python", 3),
        ad_clicked(MONDAY + HOUR, user_id="u", properties={"technology": "cobol"}),
    )
    found = {(str(week), value): counts for week, value, *counts in answer(client, "outreach")}
    assert {key: counts for key, counts in found.items() if any(counts)} == {
        ("2026-01-05", "python"): [1, 0, 0],
        ("2026-01-05", "other"): [0, 1, 0],
        ("2026-01-19", "go"): [1, 0, 0],
        ("2026-01-19", "python"): [0, 0, 3],
    }
    assert len(found) == 3 * 3, "three weeks of three values, with zeros"


def test_sign_ups_that_follow_outreach_two_weeks_later_correlate_at_that_lag(load_story):
    """
    week       0  1  2  3  4  5  6  7  8  9
    talks      1  0  2  0  0  1  3  0
    sign-ups         2  1  3  1  1  2  4  1     one more than the talks of two weeks before
    """
    talks = [1, 0, 2, 0, 0, 1, 3, 0]
    client = load_story(
        *(talk_given(MONDAY + week * WEEK + 1 + place, "go") for week, n in enumerate(talks) for place in range(n)),
        *(one for week, n in enumerate(talks) for one in signups(MONDAY + (week + 2) * WEEK + 1, "go", n + 1)),
    )
    at = {"at": "2026-03-15"}
    found = {(value, lag): (n, r) for value, lag, n, r in answer(client, "outreach-lag", **at)}
    assert found["go", 2] == found["(all)", 2] == (8, 1)
    assert found["go", 0][0] == 10
    assert abs(found["go", 0][1]) < 0.9
    assert found["go", 6] == (4, None), "too few pairs of weeks"
    assert {r for _, r in answer_of("touches", client, at)} == {None}, "a measure that is always the same"


def answer_of(measure: str, client, at):
    return [(n, r) for _, _, n, r in answer(client, "outreach-lag", measure=measure, **at)]


# Edges


def test_what_happens_on_monday_at_midnight_is_of_the_week_that_ends_then_in_every_count(load_story):
    """
              Monday 00:00                Monday 00:00
    week 1  ──────────────┤ week 2 ──────────────────┤
                                        talk, ad, sign-up
    """
    end = MONDAY + WEEK
    ad = ad_clicked(end - 1, user_id="u"), ad_clicked(end, user_id="u", properties={"technology": "go"})
    client = load_story(*ad, signed_up(end, user_id="u", properties={"technology": "go"}), talk_given(end, "go"))
    week = "2026-01-05"
    assert rows(client, "SELECT toString(signup_week) FROM signups") == [(week,)]
    outreach = [(str(row[0]), *row[1:]) for row in answer(client, "outreach")]
    assert outreach == [(week, "(none)", 0, 1, 0), (week, "go", 1, 1, 1)]
    assert answer(client, "content-before-signup") == [("developer", week, 1, 1, 1, 100, 100)]
    whole = {"per": "all", "from": "2026-01-05", "to": "2026-01-12"}
    assert answer(client, "content-before-signup", **whole)[0][:3] == ("developer", "all", 1)
    assert answer(client, "content-before-signup", **whole | {"from": "2026-01-12", "to": "2026-01-19"}) == []


def test_an_empty_database_has_no_rows_and_no_errors(client):
    for view in ("touches", "conversions", "attribution", "outreach"):
        assert rows(client, f"SELECT * FROM {view}") == []
    for name in ("attribution", "content-before-signup", "outreach", "outreach-lag", "campaigns"):
        assert answer(client, name) == []


def test_one_event_is_a_touch_of_a_visitor_and_leads_to_nothing(load_story):
    client = load_story(ad_clicked(MONDAY, anonymous_id="a"))
    assert rows(client, "SELECT level, subject_id, company_id FROM touches") == [("developer", "anonymous_id:a", "")]
    assert rows(client, "SELECT * FROM attribution") == []
    assert answer(client, "attribution") == []
    assert [row[1:] for row in answer(client, "outreach")] == [("(none)", 0, 1, 0)]
    assert all(r is None for *_, r in answer(client, "outreach-lag"))


def test_a_company_of_twenty_thousand_developers_has_one_first_touch(client):
    client.command(
        "INSERT INTO identity_rows (alias_kind, alias, developer_ids, developer_from, company_id, company_from, version, is_deleted)"
        " SELECT 'user_id', concat('u', toString(number)), [], [], 'acme', 0, 1, 0 FROM numbers(20000)"
    )
    client.command(
        "INSERT INTO touch_rows (alias_kind, alias, event_hash, content_hash, time, name, campaign, is_touch)"
        " SELECT 'user_id', concat('u', toString(number % 20000)), number, number, 1767571200000 + number, 'Ad Clicked', toString(number % 7), true"
        " FROM numbers(60000)"
    )
    client.command(
        "INSERT INTO profile_rows (level, id, kind, stages, version) VALUES ('company', 'acme', 'company', map('signup', toDateTime64('2026-02-01', 3, 'UTC')), 1)"
    )
    assert rows(client, "SELECT model, count(), sum(credit) FROM attribution GROUP BY model ORDER BY model") == [
        ("first", 1, 1),
        ("last", 1, 1),
        ("linear", 60_000, 1),
        ("position", 60_000, 1),
    ]


def test_what_internal_people_do_is_no_touch_of_their_company(load_story):
    client = load_story(
        ad_clicked(MONDAY, user_id="employee"),
        group(MONDAY + 1, "employee", "acme"),
        ad_clicked(MONDAY, user_id="someone", campaign="own"),
        identify(MONDAY + 2, "someone", traits={"email": "one@own.example"}),
        group(MONDAY + 3, "someone", "acme"),
        ad_clicked(MONDAY + 4, user_id="ann", campaign="theirs", company_id="acme"),
    )
    found = rows(client, "SELECT level, subject_id, campaign FROM touches ORDER BY level")
    assert found == [("company", "acme", "theirs"), ("developer", "ann", "theirs")]

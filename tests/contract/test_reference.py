"""What is counted, and when: stages, activation, rolling counts and touches, with literal answers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.config.definitions import build
from tests.support.reference import compute, differences
from tests.support.worlds import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    SECRETS,
    Message,
    ad_clicked,
    api_call,
    as_bytes,
    at,
    connection_held,
    deliveries,
    event,
    group,
    identify,
    journey,
    key_alias,
    message_sent,
    outcome,
    page_viewed,
    signed_up,
    small_definitions,
    worlds,
)

K1 = key_alias("sk_live_1")
KEY: Message = {"api_key": "sk_live_1"}
NINE = at("2026-01-05 09:00")


def test_the_journey_of_one_developer_ends_as_one_developer_and_one_company():
    story = journey()
    published = compute(story.records, build({}), SECRETS)

    assert published.developers == {
        story.developer: {
            "kind": "user",
            "company_id": story.company,
            "first_seen": story.first_seen,
            "last_active": story.last_active,
            "stages": story.developer_stages,
            "activations": story.developer_activations,
            "first_touch_at": story.first_touch[0],
            "first_touch": story.first_touch[1],
            "segments": {},
            "is_internal": False,
            "is_bot": False,
        }
    }
    assert published.companies == {
        story.company: published.developers[story.developer]
        | {
            "kind": "company",
            "company_id": "",
            "stages": story.company_stages,
            "activations": story.company_activations,
        }
    }
    assert published.identities == story.identities
    assert {key: published.rolling_value(*key) for key in story.rolling} == story.rolling
    assert {(resolved.developer_id, resolved.company_id) for resolved in published.events.values()} == {("ada", "acme")}
    assert published.rejected == []


# Stages and profiles


def test_a_stage_is_entered_at_the_earliest_matching_event():
    published = outcome(
        page_viewed(NINE + 2, "/docs/a", user_id="ada"),
        page_viewed(NINE + 1, "/docs/b", user_id="ada"),
        page_viewed(NINE, "/pricing", user_id="ada"),
        api_call(NINE + 3, status=500, user_id="ada"),
        api_call(NINE + 4, status=399, user_id="ada"),
    )
    assert published.developers["ada"]["stages"] == {"visit": NINE, "docs": NINE + 1, "first_call": NINE + 4}


def test_first_seen_and_last_active_span_the_events_that_some_number_uses():
    published = outcome(
        event("Unheard Of", NINE, user_id="ada"),
        page_viewed(NINE + 1, user_id="ada"),
        ad_clicked(NINE + 2, user_id="ada"),
        event("Unheard Of", NINE + 3, user_id="ada"),
        event("Unheard Of", NINE, user_id="bob"),
    )
    ada = published.developers["ada"]
    assert (ada["first_seen"], ada["last_active"]) == (NINE + 1, NINE + 2)
    assert "bob" not in published.developers


# Activation


def test_a_count_is_reached_at_the_nth_event_and_a_copy_is_no_second_event():
    # messages: 3 messages and 1 connection, within 28 days of the sign-up
    sent = [message_sent(NINE + minutes * MINUTE, user_id="ada") for minutes in (1, 2)]
    story = [signed_up(NINE, user_id="ada"), connection_held(NINE, user_id="ada"), *sent, *sent, *sent]
    assert outcome(*story).developers["ada"]["activations"] == {}
    reached = outcome(*story, message_sent(NINE + 9 * MINUTE, user_id="ada"))
    assert reached.developers["ada"]["activations"] == {"messages": (NINE, NINE + 9 * MINUTE)}


def test_conditions_hold_together_and_not_before_the_anchor():
    #  message message message      connection       sign-up
    #  ───1───────2───────3──────────────4───────────────5────▶   activated at 5
    before = [
        *(message_sent(NINE + hours * HOUR, user_id="ada") for hours in (1, 2, 3)),
        connection_held(NINE + 4 * HOUR, user_id="ada"),
    ]
    assert outcome(*before).developers["ada"]["activations"] == {}
    published = outcome(*before, signed_up(NINE + 5 * HOUR, user_id="ada"))
    assert published.developers["ada"]["activations"]["messages"] == (NINE + 5 * HOUR, NINE + 5 * HOUR)


@pytest.mark.parametrize(("late", "activated"), [(0, True), (1, False)])
def test_an_activation_counts_within_its_span_of_the_anchor(late, activated):
    call = api_call(NINE + 28 * DAY + late, user_id="ada")
    published = outcome(signed_up(NINE, user_id="ada"), call)
    assert ("first_call" in published.developers["ada"]["activations"]) is activated
    assert published.developers["ada"]["stages"]["first_call"] == NINE + 28 * DAY + late


def test_distinct_days_are_utc_days_and_are_reached_at_the_first_event_of_the_day():
    # three_days (here two of the first 14): 23:59:59.999 and midnight are two days
    midnight = MONDAY + DAY
    calls = [api_call(time, user_id="ada") for time in (MONDAY + HOUR, midnight - 1, midnight + HOUR, midnight)]
    published = outcome(signed_up(MONDAY, user_id="ada"), *calls)
    assert published.developers["ada"]["activations"]["three_days"] == (MONDAY, midnight)
    assert published.developers["ada"]["stages"]["activated"] == midnight


def test_a_company_is_activated_by_what_its_developers_and_keys_do_together():
    published = outcome(
        signed_up(NINE, user_id="ada"),
        group(NINE, "ada", "acme"),
        group(NINE, "bob", "acme"),
        message_sent(NINE + 1, user_id="ada"),
        message_sent(NINE + 2, user_id="bob"),
        event("Unheard Of", NINE, company_id="acme", **KEY),
        message_sent(NINE + 3, **KEY),
        connection_held(NINE + 1, **KEY),
    )
    assert published.companies["acme"]["activations"] == {"messages": (NINE, NINE + 3)}
    assert published.companies["acme"]["stages"]["activated"] == NINE + 3
    assert all(profile["activations"] == {} for profile in published.developers.values())


# Activity and rolling counts


@pytest.mark.parametrize(
    ("time", "hour_start"),
    [("10:00:00.001", "10:00"), ("10:15", "10:00"), ("11:00", "10:00"), ("11:00:00.001", "11:00"), ("00:00", None)],
)
def test_an_hour_of_activity_is_open_at_its_start_and_closed_at_its_end(time, hour_start):
    published = outcome(api_call(at(f"2026-01-05 {time}"), user_id="ada", **KEY))
    start = at(f"2026-01-05 {hour_start}") if hour_start else at("2026-01-04 23:00")
    assert published.activity == {
        ("token", K1, "production", start),
        ("developer", "ada", "production", start),
    }


def test_a_window_holds_what_happened_after_its_start_and_up_to_its_end():
    #  10:00     10:15     11:00                       next day 10:00    11:00
    #    |         x         |──────────── 1 ────────────────|             |
    #                        first window (10:00, 10:00 + 24 h] … last that contains x ends at 10:00
    published = outcome(api_call(at("2026-01-05 10:15"), user_id="ada", **KEY))
    assert published.rolling_series("active_tokens", "developer", 24) == [
        (at("2026-01-05 11:00"), 1),
        (at("2026-01-06 11:00"), 0),
    ]
    on_the_hour = outcome(api_call(at("2026-01-05 11:00"), user_id="ada", **KEY))
    assert on_the_hour.rolling == published.rolling
    assert published.rolling_value("active_developers", "developer", 168, at("2026-01-12 10:00")) == 1
    assert published.rolling_value("active_developers", "developer", 168, at("2026-01-12 11:00")) == 0


def test_a_subject_that_is_active_again_counts_once_and_for_longer():
    #  Monday 09:00 ├─────── 24 h ───────┤
    #  Monday 15:00        ├─────── 24 h ───────┤
    published = outcome(api_call(NINE, **KEY), api_call(NINE + 6 * HOUR, **KEY), api_call(NINE, api_key="sk_live_2"))
    assert published.rolling_series("active_tokens", "developer", 24) == [
        (NINE, 2),
        (NINE + 24 * HOUR, 1),
        (NINE + 30 * HOUR, 0),
    ]


def test_only_production_keys_make_anyone_active_and_visitors_are_no_developers():
    published = outcome(
        api_call(NINE, user_id="ada", api_key="sk_test_1"),
        api_call(NINE, user_id="bob", api_key="sk_live_1", environment="development"),
        api_call(NINE, user_id="cyd"),
        api_call(NINE, api_key="sk_live_2", company_id="acme"),
    )
    assert {(level, environment) for level, _, environment, _ in published.activity} == {
        *(("token", environment) for environment in ("production", "test", "development")),
        *(("developer", environment) for environment in ("test", "development")),
        ("company", "production"),
    }
    active = {key[:2]: delta for key, delta in published.rolling.items() if key[2:] == (24, NINE)}
    assert active == {("active_tokens", "developer"): 1, ("active_companies", "company"): 1}


def test_sign_ups_and_activations_count_in_the_window_of_their_moment():
    published = outcome(signed_up(NINE, user_id="ada", company_id="acme"), api_call(NINE + 1, user_id="ada"))
    for level in ("developer", "company"):
        assert published.rolling_series("signups", level, 24) == [(NINE, 1), (NINE + DAY, 0)]
        assert published.rolling_series("activated:first_call", level, 24) == [
            (NINE + HOUR, 1),
            (NINE + HOUR + DAY, 0),
        ]


# Touches


def test_first_touch_of_a_developer_and_of_the_company_of_all_its_developers():
    published = outcome(
        ad_clicked(NINE, "spring", anonymous_id="a1"),
        ad_clicked(NINE + DAY, "summer", user_id="bob"),
        identify(NINE + HOUR, "ada", anonymous_id="a1"),
        group(NINE + 2 * DAY, "ada", "acme"),
        group(NINE + 2 * DAY, "bob", "acme"),
    )
    spring = {"campaign": "spring", "source": "search", "name": "Ad Clicked"}
    acme = published.companies["acme"]
    assert published.developers["ada"]["first_touch"] == spring
    assert (acme["first_touch_at"], acme["first_touch"]) == (NINE, spring)


# The law, for the reference itself


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_reference_depends_on_the_set_of_events_only(data):
    world = data.draw(worlds())
    once = compute(world, small_definitions(), SECRETS)
    again = compute([as_bytes(one) for one in data.draw(deliveries(world))], small_definitions(), SECRETS)
    assert differences(once, again) == []
    assert set(once.rejected) == set(again.rejected)


@settings(max_examples=30, deadline=None)
@given(worlds(rejects=False))
def test_worlds_without_rejects_are_accepted_whole(world):
    published = compute(world, small_definitions(), SECRETS)
    assert published.rejected == []
    assert len(published.event_rows) >= len(published.events) > 0


def test_differences_name_each_fact_that_is_not_equal():
    once = outcome(ad_clicked(NINE, "a", user_id="ada"), api_call(NINE, message_id="call", user_id="ada", **KEY))
    other = outcome(ad_clicked(NINE, "b", user_id="ada"), api_call(NINE, message_id="call", user_id="bob", **KEY))
    assert differences(once, once) == []
    lines = differences(once, other)
    assert f"identities: missing ('api_key', {K1!r}, 'developer', 'ada', {NINE})" in lines
    assert (
        f"events('call', 'user_id', 'bob'): expected None, not Resolved(developer_id='bob', company_id='', time={NINE})"
        in lines
    )
    assert any(line.startswith("developer 'ada': first_touch: expected {'campaign': 'a'") for line in lines)
    assert "developer 'bob': unexpected" in lines


def test_of_the_touches_of_one_moment_the_smaller_content_is_the_first():
    once = outcome(ad_clicked(NINE, "a", user_id="ada"), ad_clicked(NINE, "b", user_id="ada"))
    other = outcome(ad_clicked(NINE, "b", user_id="ada"), ad_clicked(NINE, "a", user_id="ada"))
    assert differences(once, other) == []
    assert once.developers["ada"]["first_touch"]["campaign"] == "a"

"""Who counts for nothing: the own organisation, bots and automated traffic, with literal answers."""

from __future__ import annotations

from tests.support.worlds import (
    DAY,
    HOUR,
    Message,
    api_call,
    at,
    event,
    group,
    identify,
    key_created,
    outcome,
    page_viewed,
    signed_up,
)

KEY: Message = {"api_key": "sk_live_1"}
NINE = at("2026-01-05 09:00")


def test_one_internal_event_makes_the_developer_internal_and_leaves_him_out_of_everything():
    published = outcome(
        signed_up(NINE, user_id="ada"),
        group(NINE, "ada", "acme"),
        api_call(NINE + HOUR, user_id="ada", **KEY),
        page_viewed(NINE, user_id="bob", company_id="acme"),
        identify(NINE + DAY, "ada", traits={"email": "ada@own.example"}),
    )
    ada = published.developers["ada"]
    assert (ada["is_internal"], ada["activations"]) == (True, {})
    assert ada["stages"] == {"signup": NINE, "first_call": NINE + HOUR}
    assert published.companies["acme"]["stages"] == {"visit": NINE}
    assert (published.activity, published.rolling) == (set(), {})


def test_the_own_company_counts_for_nothing_even_where_its_people_are_not_known_as_internal():
    published = outcome(
        # A bot's group call only links.
        group(NINE, "ada", "own", context={"userAgent": "Googlebot"}),
        signed_up(NINE, user_id="ada"),
        api_call(NINE, user_id="ada", **KEY),
    )
    assert published.companies["own"]["is_internal"] is True
    assert published.companies["own"]["activations"] == {}
    assert {level for level, *_ in published.activity} == {"token", "developer"}
    assert {level for _, level, *_ in published.rolling} == {"developer"}


def test_a_bot_contributes_links_and_nothing_else():
    robot: Message = {"context": {"userAgent": "GoogleBot/2.1"}}
    published = outcome(
        page_viewed(NINE, user_id="ada", anonymous_id="a1", **robot),
        page_viewed(NINE, anonymous_id="a2", **robot),
        key_created(NINE, message_id="key", user_id="bob", **KEY, **robot),
        api_call(NINE + HOUR, message_id="call", **KEY),
    )
    assert published.developers.keys() == {"bob"}
    assert published.developers["bob"]["stages"] == {"first_call": NINE + HOUR}
    assert ("anonymous_id", "a1", "developer", "ada", NINE) in published.identities
    assert published.events["key", "user_id", "bob"] == ("bob", "", NINE)


def test_past_the_limit_a_web_alias_is_automated_and_its_links_stay():
    # The limit is 3 events that matter on a UTC day and 5 in all; copies, and events that match nothing, do not count.
    def visits(count: int, **fields: str) -> list[Message]:
        return [event("Page Viewed", NINE + i, **fields) for i in range(count)]

    person = outcome(*visits(3, anonymous_id="a1"), *visits(3, anonymous_id="a1"), event("X", NINE, anonymous_id="a1"))
    assert person.developers["anonymous_id:a1"]["is_bot"] is False

    days = [event("Page Viewed", NINE + i // 2 * 24 * HOUR + i, anonymous_id="a1") for i in range(6)]
    assert outcome(*days[:5]).developers["anonymous_id:a1"]["is_bot"] is False
    assert outcome(*days).developers["anonymous_id:a1"]["is_bot"] is True

    robot = outcome(*visits(4, anonymous_id="a1")).developers["anonymous_id:a1"]
    assert (robot["is_bot"], robot["stages"], robot["first_seen"], robot["last_active"]) == (True, {}, None, None)

    linked = outcome(*visits(5, anonymous_id="a1"), signed_up(NINE + HOUR, user_id="ada", anonymous_id="a1"))
    assert linked.developers.keys() == {"ada"}
    assert linked.developers["ada"]["stages"] == {"signup": NINE + HOUR}
    assert linked.identities == {("anonymous_id", "a1", "developer", "ada", NINE + HOUR)}

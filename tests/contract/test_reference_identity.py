"""Who an event belongs to: the rules of identity as small stories with literal answers."""

from __future__ import annotations

import pytest

from tests.support.reference import Published, Resolved
from tests.support.worlds import (
    api_call,
    at,
    event,
    group,
    identify,
    key_alias,
    key_created,
    merge,
    outcome,
    page_viewed,
    segment,
    signed_up,
)

K1 = key_alias("sk_live_1")
NINE, TEN, ELEVEN, NOON = (at(f"2026-01-05 {hour}:00") for hour in ("09", "10", "11", "12"))
NEXT_DAY = at("2026-01-06 09:00")


def developers_of(published: Published, *message_ids: str) -> list[str]:
    """The developers of the events with these message ids, in their order."""
    found = {message_id: resolved.developer_id for (message_id, _, _), resolved in published.events.items()}
    return [found[message_id] for message_id in message_ids]


def companies_of(published: Published, *message_ids: str) -> list[str]:
    found = {message_id: resolved.company_id for (message_id, _, _), resolved in published.events.items()}
    return [found[message_id] for message_id in message_ids]


def test_an_alias_that_no_one_is_known_behind_stands_for_itself_as_a_visitor():
    published = outcome(
        page_viewed(NINE, message_id="device", anonymous_id="a1"),
        page_viewed(NINE, message_id="session", anonymous_id="a1", session_token="s1"),
        api_call(NINE, message_id="key", api_key="sk_live_1"),
    )
    assert published.events == {
        ("device", "anonymous_id", "a1"): Resolved("anonymous_id:a1", "", NINE),
        ("session", "session_token", "s1"): Resolved("anonymous_id:a1", "", NINE),
        ("key", "api_key", K1): Resolved(f"api_key:{K1}", "", NINE),
    }
    assert {profile["kind"] for profile in published.developers.values()} == {"visitor"}
    assert published.identities == set()


@pytest.mark.parametrize(
    ("fields", "developer"),
    [
        ({"user_id": "explicit", "api_key": "sk_live_1", "session_token": "s1", "anonymous_id": "a1"}, "explicit"),
        ({"api_key": "sk_live_1", "session_token": "s1", "anonymous_id": "a1"}, "by key"),
        ({"session_token": "s1", "anonymous_id": "a1"}, "by session"),
        ({"anonymous_id": "a1"}, "by device"),
        # An identifier that leads to nobody hides none of the weaker ones.
        ({"api_key": "sk_live_2", "anonymous_id": "a1"}, "by device"),
        ({"session_token": "s2", "anonymous_id": "a1"}, "by device"),
        ({"api_key": "sk_live_2", "session_token": "s1"}, "by session"),
        ({"api_key": "sk_live_2"}, f"api_key:{key_alias('sk_live_2')}"),
    ],
)
def test_the_first_identifier_that_leads_to_a_user_decides(fields, developer):
    published = outcome(
        key_created(NINE, user_id="by key", api_key="sk_live_1"),
        identify(NINE, "by session", session_token="s1"),
        identify(NINE, "by device", anonymous_id="a1"),
        event("Unheard Of", TEN, message_id="seen", **fields),
    )
    assert developers_of(published, "seen") == [developer]


def test_of_three_sessions_on_one_browser_all_belong_to_who_signs_in_in_the_second():
    published = outcome(
        page_viewed(NINE, message_id="first", anonymous_id="a1", session_token="s1"),
        page_viewed(TEN, message_id="second", anonymous_id="a1", session_token="s2"),
        identify(ELEVEN, "ada", anonymous_id="a1", session_token="s2"),
        page_viewed(NOON, message_id="third", anonymous_id="a1", session_token="s3"),
    )
    assert developers_of(published, "first", "second", "third") == ["ada", "ada", "ada"]


def test_two_people_on_one_browser_keep_their_sessions():
    published = outcome(
        page_viewed(TEN, message_id="of bob", anonymous_id="a1", session_token="s2"),
        identify(NINE, "ada", anonymous_id="a1", session_token="s1"),
        # Known by its session alone, and late.
        identify(NOON, "bob", session_token="s2"),
        page_viewed(ELEVEN, message_id="of ada", anonymous_id="a1", session_token="s1"),
    )
    assert developers_of(published, "of ada", "of bob") == ["ada", "bob"]


def test_a_session_belongs_to_the_device_it_was_seen_with_first():
    published = outcome(
        page_viewed(NINE, anonymous_id="a1", session_token="s1"),
        page_viewed(TEN, message_id="moved", anonymous_id="a2", session_token="s1"),
        api_call(ELEVEN, message_id="alone", session_token="s1"),
        identify(NOON, "ada", anonymous_id="a1"),
    )
    assert developers_of(published, "moved", "alone") == ["anonymous_id:a2", "ada"]


def test_a_browser_with_ten_sessions_is_one_visitor():
    published = outcome(*(page_viewed(NINE + i, anonymous_id="a1", session_token=f"s{i}") for i in range(10)))
    assert list(published.developers) == ["anonymous_id:a1"]


def test_history_before_the_first_identification_belongs_to_the_first_identified_user():
    published = outcome(
        page_viewed(at("2024-12-01 09:00"), message_id="long ago", anonymous_id="a1"),
        identify(TEN, "ada", anonymous_id="a1"),
        page_viewed(NOON, message_id="later", anonymous_id="a1"),
    )
    assert developers_of(published, "long ago", "later") == ["ada", "ada"]
    assert published.identities == {("anonymous_id", "a1", "developer", "ada", TEN)}
    assert list(published.developers) == ["ada"]


def test_a_shared_device_splits_at_each_identification():
    #      9          10          11          12
    #  e1  |    e2    |A    e3    |B    e4    |
    #  └───── ada ────┴─── ada ───┴─── bob ────
    published = outcome(
        identify(TEN, "ada", anonymous_id="a1"),
        identify(ELEVEN, "bob", anonymous_id="a1"),
        *(page_viewed(time, message_id=str(time), anonymous_id="a1") for time in (NINE, TEN, ELEVEN - 1, ELEVEN, NOON)),
    )
    split = developers_of(published, *(str(time) for time in (NINE, TEN, ELEVEN - 1, ELEVEN, NOON)))
    assert split == ["ada", "ada", "ada", "bob", "bob"]
    assert published.identities == {
        ("anonymous_id", "a1", "developer", "ada", TEN),
        ("anonymous_id", "a1", "developer", "bob", ELEVEN),
    }


def test_of_one_users_links_in_a_day_the_earliest_is_kept():
    #  Monday: A at 9, B at 10, A again at 11 (not kept)      Tuesday: A at 9
    #  ├─ ada ─┼───────────────── bob ────────────────────────┼─ ada ─
    published = outcome(
        identify(NINE, "ada", session_token="s1"),
        identify(TEN, "bob", session_token="s1"),
        identify(ELEVEN, "ada", session_token="s1"),
        identify(NEXT_DAY, "ada", session_token="s1"),
        page_viewed(NOON, message_id="monday noon", session_token="s1"),
        page_viewed(NEXT_DAY, message_id="tuesday", session_token="s1"),
    )
    assert developers_of(published, "monday noon", "tuesday") == ["bob", "ada"]
    assert published.identities == {
        ("session_token", "s1", "developer", "ada", NINE),
        ("session_token", "s1", "developer", "bob", TEN),
        ("session_token", "s1", "developer", "ada", NEXT_DAY),
    }


def test_consecutive_links_of_one_user_are_one_identity_row():
    published = outcome(
        identify(NINE, "ada", anonymous_id="a1"),
        identify(NEXT_DAY, "ada", anonymous_id="a1"),
    )
    assert published.identities == {("anonymous_id", "a1", "developer", "ada", NINE)}


def test_of_links_at_the_same_time_the_greater_user_goes_on_and_the_smaller_has_the_history():
    published = outcome(
        identify(TEN, "ada", anonymous_id="a1"),
        identify(TEN, "bob", anonymous_id="a1"),
        page_viewed(NINE, message_id="before", anonymous_id="a1"),
        page_viewed(TEN, message_id="then", anonymous_id="a1"),
    )
    assert developers_of(published, "before", "then") == ["ada", "bob"]
    assert published.identities == {
        ("anonymous_id", "a1", "developer", "ada", TEN),
        ("anonymous_id", "a1", "developer", "bob", TEN),
    }


def test_of_links_at_one_later_time_only_the_one_that_goes_on_is_a_row():
    published = outcome(
        *(identify(time, user, anonymous_id="a1") for time, user in ((NINE, "z"), (TEN, "a"), (TEN, "b")))
    )
    assert published.identities == {
        ("anonymous_id", "a1", "developer", "z", NINE),
        ("anonymous_id", "a1", "developer", "b", TEN),
    }


def test_an_event_of_any_kind_that_carries_two_identifiers_links_them():
    published = outcome(
        event("Unheard Of", NINE, user_id="ada", anonymous_id="a1", session_token="s1", api_key="sk_live_1"),
        event("Unheard Of", NINE, company_id="acme", api_key="sk_live_1"),
    )
    assert published.identities == {
        ("anonymous_id", "a1", "developer", "ada", NINE),
        ("session_token", "s1", "developer", "ada", NINE),
        ("api_key", K1, "developer", "ada", NINE),
        ("api_key", K1, "company", "acme", NINE),
    }


def test_a_key_belongs_to_its_first_owner_for_its_whole_history():
    published = outcome(
        api_call(NINE, message_id="before", api_key="sk_live_1"),
        key_created(TEN, user_id="ada", api_key="sk_live_1", company_id="acme"),
        api_call(ELEVEN, message_id="by bob", user_id="bob", api_key="sk_live_1", company_id="globex"),
        api_call(NOON, message_id="after", api_key="sk_live_1"),
    )
    # An explicit user or company on an event goes before what the key knows.
    assert developers_of(published, "before", "by bob", "after") == ["ada", "bob", "ada"]
    assert companies_of(published, "before", "by bob", "after") == ["acme", "globex", "acme"]
    assert {row for row in published.identities if row[0] == "api_key"} == {
        ("api_key", K1, "developer", "ada", TEN),
        ("api_key", K1, "company", "acme", TEN),
    }


def test_a_key_that_knows_only_its_company_counts_for_the_company():
    published = outcome(
        event("API Key Created", NINE, api_key="sk_live_1", company_id="acme"),
        api_call(TEN, message_id="call", api_key="sk_live_1"),
    )
    assert published.events["call", "api_key", K1] == Resolved(f"api_key:{K1}", "acme", TEN)
    assert published.developers[f"api_key:{K1}"]["company_id"] == "acme"
    assert published.companies["acme"]["stages"] == {"key": NINE, "first_call": TEN}


@pytest.mark.parametrize(
    ("fields", "company"),
    [
        ({"user_id": "ada", "api_key": "sk_live_1", "company_id": "explicit"}, "explicit"),
        ({"user_id": "ada", "api_key": "sk_live_1"}, "of the key"),
        ({"user_id": "ada", "api_key": "sk_live_2"}, "of ada"),
        ({"anonymous_id": "a1"}, "of ada"),
        ({"anonymous_id": "a2"}, ""),
        ({"anonymous_id": "a2", "company_id": "explicit"}, "explicit"),
    ],
)
def test_the_company_is_the_events_own_else_the_keys_else_the_developers(fields, company):
    published = outcome(
        event("Unheard Of", NINE, api_key="sk_live_1", company_id="of the key"),
        identify(NINE, "ada", anonymous_id="a1"),
        group(NOON, "ada", "of ada"),
        event("Unheard Of", TEN, message_id="seen", **fields),
    )
    # An explicit company on a user's event is evidence too; the group call is later.
    assert companies_of(published, "seen") == [company]


def test_the_last_company_has_the_developers_whole_history_and_stamped_events_stay():
    published = outcome(
        page_viewed(NINE, message_id="alone", user_id="ada"),
        page_viewed(TEN, message_id="stamped", user_id="ada", company_id="globex"),
        group(ELEVEN, "ada", "acme"),
    )
    assert companies_of(published, "alone", "stamped") == ["acme", "globex"]
    assert published.identities == {("user_id", "ada", "company", "acme", 0)}


def test_a_device_is_never_linked_to_a_company():
    published = outcome(
        page_viewed(NINE, message_id="stamped", anonymous_id="a1", company_id="acme"),
        page_viewed(TEN, message_id="plain", anonymous_id="a1"),
    )
    assert companies_of(published, "stamped", "plain") == ["acme", ""]
    assert published.identities == set()


def test_merged_ids_are_one_developer_with_one_pool_of_facts_and_companies():
    #  old ──▶ mid ──▶ new
    published = outcome(
        signed_up(NINE, user_id="old", anonymous_id="a1"),
        api_call(TEN, user_id="mid"),
        page_viewed(ELEVEN, user_id="new"),
        group(NINE, "new", "acme"),
        group(TEN, "old", "globex"),
        merge(NOON, "old", "mid"),
        merge(NOON, "mid", "new"),
    )
    assert published.developers.keys() == {"new"}
    assert published.developers["new"]["stages"] == {"signup": NINE, "first_call": TEN, "visit": ELEVEN}
    assert published.developers["new"]["company_id"] == "globex"
    assert published.identities == {
        ("anonymous_id", "a1", "developer", "old", NINE),
        # The previous id of an alias call may be a device's.
        ("anonymous_id", "old", "developer", "mid", NOON),
        ("anonymous_id", "mid", "developer", "new", NOON),
        ("user_id", "old", "developer", "new", 0),
        ("user_id", "mid", "developer", "new", 0),
        *(("user_id", user, "company", "globex", 0) for user in ("old", "mid", "new")),
    }


def test_in_a_cycle_of_merges_the_smallest_id_stands_for_all_that_lead_there():
    #  d ──▶ c ──▶ b ──▶ c
    published = outcome(
        merge(NINE, "c", "b"),
        merge(NINE, "b", "c"),
        merge(NINE, "d", "c"),
        *(page_viewed(TEN, message_id=user, user_id=user) for user in ("b", "c", "d")),
    )
    assert developers_of(published, "b", "c", "d") == ["b", "b", "b"]


def test_the_latest_merge_of_an_id_counts_and_a_merge_into_itself_undoes_it():
    merged = [
        merge(NINE, "old", "first"),
        merge(TEN, "old", "second"),
        page_viewed(NINE, message_id="e", user_id="old"),
    ]
    assert developers_of(outcome(*merged), "e") == ["second"]
    assert developers_of(outcome(*merged, merge(TEN, "old", "third")), "e") == ["third"]
    assert developers_of(outcome(*merged, merge(ELEVEN, "old", "old")), "e") == ["old"]


def test_an_alias_call_from_a_device_links_the_device_and_merges_no_one():
    call = merge(TEN, "a1", "ada", anonymous_id="a1")
    for form in (call, segment(call)):
        published = outcome(
            form, page_viewed(NINE, message_id="seen", anonymous_id="a1"), signed_up(NINE, user_id="a1")
        )
        assert published.identities == {("anonymous_id", "a1", "developer", "ada", TEN)}
        assert developers_of(published, "seen") == ["ada"]
        assert published.developers.keys() == {"ada", "a1"}


def test_users_known_only_as_the_target_of_a_link_have_identity_rows():
    published = outcome(
        key_created(NINE, user_id="ada", api_key="sk_live_1"),
        merge(TEN, "ada", "ada@new"),
        group(TEN, "ada@new", "acme"),
    )
    assert published.identities == {
        ("api_key", K1, "developer", "ada", NINE),
        ("anonymous_id", "ada", "developer", "ada@new", TEN),
        ("user_id", "ada", "developer", "ada@new", 0),
        ("user_id", "ada", "company", "acme", 0),
        ("user_id", "ada@new", "company", "acme", 0),
    }

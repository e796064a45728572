"""Who is in the simulated population, in which formats they report, and how they behave."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest

from tests.support.simulated_world import DAY_MS, UNTIL_MS, Seen, calls, four_hundred_developers, named


@pytest.fixture(scope="module")
def world() -> list[Seen]:
    return four_hundred_developers()


@pytest.fixture(scope="module")
def users_by_device(world: list[Seen]) -> dict[str, set[str]]:
    users: dict[str, set[str]] = defaultdict(set)
    for seen in world:
        if seen.event.anonymous_id:
            users[seen.event.anonymous_id] |= {seen.event.user_id} - {""}
    return users


# -- formats -----------------------------------------------------------------------------------------------------------


def test_the_web_speaks_mostly_segment_and_the_api_mostly_native(world: list[Seen]):
    segment = Counter(seen.topic for seen in world if "messageId" in seen.raw)
    total = Counter(seen.topic for seen in world)
    assert 0.7 < segment["web-events"] / total["web-events"] < 0.95
    assert 0.01 < segment["api-events"] / total["api-events"] < 0.2
    types = {(seen.topic, seen.raw["type"]) for seen in world if "messageId" in seen.raw}
    assert types >= {("web-events", type_) for type_ in ("page", "track", "identify", "group", "alias")}
    assert types >= {("api-events", "track"), ("api-events", "group")}
    native = {(seen.topic, seen.raw.get("type", "event")) for seen in world if "message_id" in seen.raw}
    assert native >= {("web-events", type_) for type_ in ("event", "identify", "group")}
    assert native >= {("api-events", type_) for type_ in ("event", "group")}
    assert "merge" in {type_ for _, type_ in native}


def test_api_calls_carry_what_an_api_gateway_knows(world: list[Seen]):
    for seen in named(world, "API Call"):
        assert seen.event.api_key
        assert seen.event.properties.keys() >= {"method", "path", "status", "latency_ms"}
        assert seen.event.context.get("user_agent") or seen.event.context.get("userAgent")
    assert {seen.event.context["sdk"] for seen in calls(world) if "sdk" in seen.event.context} >= {
        "python",
        "node",
        "go",
    }


def test_keys_look_like_no_real_vendors_keys(world: list[Seen]):
    keys = {seen.raw["api_key"] for seen in world if "api_key" in seen.raw}
    assert {key[: key.index("fc_") + 3] for key in keys} == {"sk_live_fc_", "sk_test_fc_", "sk_dev_fc_", "fc_"}


# -- who is there ------------------------------------------------------------------------------------------------------


def test_most_visitors_never_sign_up(users_by_device: dict[str, set[str]]):
    strangers = sum(not users for users in users_by_device.values())
    assert 0.5 < strangers / len(users_by_device) < 0.95


def test_visits_come_from_ads_campaigns_and_referrers(world: list[Seen]):
    pages = named(world, "Page Viewed")
    parsed = [seen for seen in pages if "campaign" in seen.event.context]
    only_in_address = [
        s for s in pages if "utm_source=" in s.event.properties["url"] and "campaign" not in s.event.context
    ]
    assert parsed
    assert only_in_address
    assert len(named(world, "Ad Clicked")) > 100
    assert {"Content Viewed", "Event Attended"} <= {seen.event.name for seen in world}
    assert any("stackoverflow" in seen.event.properties.get("referrer", "") for seen in pages)


def test_developers_have_several_devices_and_sessions(world: list[Seen]):
    devices, sessions = defaultdict(set), defaultdict(set)
    for seen in world:
        if seen.event.user_id:
            devices[seen.event.user_id].add(seen.event.anonymous_id)
            sessions[seen.event.user_id].add(seen.event.session_token)
    assert sum(len(ids - {""}) > 1 for ids in devices.values()) > 40
    assert sum(len(ids - {""}) > 1 for ids in sessions.values()) > 40
    of_browsers = [seen.event for seen in world if seen.event.session_token]
    assert all(event.anonymous_id for event in of_browsers)
    assert sum(not event.user_id for event in of_browsers) > 400


def test_some_devices_are_shared(users_by_device: dict[str, set[str]]):
    assert 5 <= sum(len(users) > 1 for users in users_by_device.values()) <= 40


def test_some_visits_lie_long_before_the_identification(world: list[Seen]):
    first_seen: dict[str, int] = {}
    waits = []
    identified: dict[str, int] = {}
    for seen in world:
        device = seen.event.anonymous_id
        if device and not seen.event.is_bot:
            first_seen[device] = min(seen.event.time, first_seen.get(device, seen.event.time))
            if seen.event.user_id:
                identified[device] = min(seen.event.time, identified.get(device, seen.event.time))
    waits = [at - first_seen[device] for device, at in identified.items()]
    assert sum(wait > DAY_MS for wait in waits) > 40
    assert max(waits) > 20 * DAY_MS


def test_some_identifications_are_late_in_time_and_some_in_arrival(world: list[Seen]):
    signed_up = {seen.event.user_id: seen.event.time for seen in named(world, "Signed Up")}
    first: dict[str, Seen] = {}
    for seen in named(world, "Identify"):
        first.setdefault(seen.event.user_id, seen)
    late = [user for user, seen in first.items() if user in signed_up and seen.event.time - signed_up[user] > DAY_MS]
    assert len(late) > 4
    assert sum(seen.arrived - seen.event.time > DAY_MS / 2 for seen in named(world, "Identify")) > 4


def test_most_calls_carry_a_key_only(world: list[Seen]):
    carried = Counter((bool(seen.event.user_id), bool(seen.event.company_id)) for seen in calls(world))
    assert carried[False, False] > 0.6 * sum(carried.values())
    assert carried[False, True]
    assert carried[True, False]


def test_some_keys_become_known_after_their_first_calls(world: list[Seen]):
    created: dict[str, int] = {}
    called: dict[str, int] = {}
    for place, seen in enumerate(world):
        order = created if seen.event.name == "API Key Created" else called
        order.setdefault(seen.event.api_key, place)
    assert sum(called.get(key, len(world)) < place for key, place in created.items()) > 10


def test_some_keys_are_known_to_a_company_only(world: list[Seen]):
    made = [seen.event for seen in named(world, "API Key Created") if not seen.event.user_id]
    assert made
    assert all(event.company_id for event in made)
    keys = {event.api_key for event in made}
    assert any(seen.event.api_key in keys and not seen.event.company_id for seen in calls(world))


def test_some_company_keys_are_used_by_several_people(world: list[Seen]):
    users = defaultdict(set)
    for seen in calls(world):
        users[seen.event.api_key].add(seen.event.user_id)
    assert any(len(names - {""}) > 1 for names in users.values())


def test_test_and_development_keys_are_recognised(world: list[Seen]):
    environments = Counter(seen.event.environment for seen in calls(world))
    assert environments.keys() == {"production", "test", "development"}
    assert environments["production"] > environments["test"] > environments["development"]
    plain = [s for s in calls(world) if s.raw.get("api_key", "").startswith("fc_") and s.event.environment == "test"]
    assert all(seen.raw["environment"] == "test" for seen in plain)


def test_invited_colleagues_join_and_some_integrate_where_the_founder_does_not(world: list[Seen]):
    assert named(world, "Invitation Sent")
    invited = {seen.event.user_id for seen in named(world, "Invitation Accepted")}
    company = {seen.event.user_id: seen.event.company_id for seen in world if seen.event.type == "group"}
    live = {
        seen.event.user_id
        for seen in named(world, "API Key Created")
        if seen.event.properties.get("environment") == "production"
    }
    founders = {company[user]: user for user in company if user not in invited}
    assert any(user in live and founders.get(company.get(user, "")) not in live for user in invited)


def test_some_join_a_company_long_after_their_sign_up(world: list[Seen]):
    signed_up = {seen.event.user_id: seen.event.time for seen in named(world, "Signed Up")}
    groups = [seen.event for seen in world if seen.event.type == "group"]
    assert any(event.time - signed_up.get(event.user_id, event.time) > 4 * DAY_MS for event in groups)


def test_some_companies_send_more_than_a_hundred_messages_and_hold_connections(world: list[Seen]):
    company = {}
    for seen in world:
        if seen.event.company_id:
            company[seen.event.user_id or seen.event.api_key] = seen.event.company_id
    owner = {seen.event.api_key: seen.event.user_id for seen in named(world, "API Key Created") if seen.event.user_id}
    messages: Counter[str] = Counter()
    held: set[str] = set()
    for seen in calls(world):
        whose = seen.event.company_id or company.get(owner.get(seen.event.api_key, ""), "")
        messages[whose] += seen.event.name == "Message Sent"
        held |= {whose} if seen.event.name == "Connection Held" else set()
    enough = {name for name, count in messages.items() if name and count > 100}
    assert enough & held
    assert len(enough) < len(messages)


def test_some_accounts_are_merged_and_some_sign_ups_use_alias(world: list[Seen]):
    merges = [seen for seen in world if seen.event.type == "merge"]
    signed_up = {seen.event.user_id for seen in named(world, "Signed Up")}
    assert any(seen.event.previous_id in signed_up for seen in merges)
    assert any(seen.event.previous_id == seen.event.anonymous_id for seen in merges)


def test_employees_and_bots_are_there_and_are_recognised(world: list[Seen]):
    employees = {seen.event.user_id for seen in world if seen.event.is_internal}
    assert 1 <= len(employees) <= 12
    assert any(seen.event.user_id in employees for seen in named(world, "API Key Created"))
    assert {seen.topic for seen in world if seen.event.is_bot} == {"web-events", "api-events"}


def test_a_scraper_passes_the_limit_of_a_web_alias_in_a_population_of_ten_thousand(world: list[Seen]):
    devices = Counter(seen.event.anonymous_id for seen in world if seen.event.anonymous_id)
    (_, scraper), (_, person) = devices.most_common(2)
    assert scraper * 10_000 / 400 > 5_000
    assert person < scraper


# -- how they behave ---------------------------------------------------------------------------------------------------


def test_some_calls_fail_and_some_developers_get_no_call_through(world: list[Seen]):
    statuses = defaultdict(list)
    for seen in named(world, "API Call"):
        statuses[seen.event.api_key].append(seen.event.properties["status"])
    failed = sum(status >= 400 for of_key in statuses.values() for status in of_key)
    assert 0.01 < failed / sum(map(len, statuses.values())) < 0.1
    assert any(status >= 500 for of_key in statuses.values() for status in of_key)
    assert sum(min(of_key) >= 400 for of_key in statuses.values()) > 2


def test_some_sign_ups_never_create_a_key_and_some_keys_never_call(world: list[Seen]):
    signed_up = {seen.event.user_id for seen in named(world, "Signed Up")}
    created = {seen.event.user_id: seen.event.api_key for seen in named(world, "API Key Created")}
    called = {seen.event.api_key for seen in calls(world)}
    assert len(signed_up - created.keys()) > 20
    assert any(key not in called for key in created.values())


def test_some_pay_and_some_advocate(world: list[Seen]):
    names = Counter(seen.event.name for seen in world)
    assert names["Subscription Started"] > 10
    assert names["Referral Sent"] + names["Integration Published"] > 2


def test_weekly_active_tokens_grow_while_some_tokens_fall_silent(world: list[Seen]):
    by_week: dict[int, set[str]] = defaultdict(set)
    for seen in calls(world):
        if seen.event.environment == "production" and not seen.event.is_bot:
            by_week[(UNTIL_MS - seen.event.time) // (7 * DAY_MS)].add(seen.event.api_key)
    assert len(by_week[0]) > len(by_week[3]) > len(by_week[6]) > 0
    silent = by_week[5] - by_week[0] - by_week[1]
    assert 0.1 < len(silent) / len(by_week[5]) < 0.8


def test_weekends_are_quieter_and_hours_differ(world: list[Seen]):
    weekend: Counter[bool] = Counter()
    hours: Counter[int] = Counter()
    for seen in world:
        moment = datetime.fromtimestamp(seen.event.time / 1000, UTC)
        weekend[moment.weekday() > 4] += 1
        hours[moment.hour] += 1
    assert weekend[True] / 2 < 0.85 * weekend[False] / 5
    assert max(hours.values()) > 1.3 * min(hours.values())


def test_one_app_takes_a_large_share_of_all_calls(world: list[Seen]):
    per_key = Counter(seen.event.api_key for seen in calls(world))
    first, second = (count for _, count in per_key.most_common(2))
    assert 0.12 < first / per_key.total() < 0.3
    assert first > 3 * second

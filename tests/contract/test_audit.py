"""The audit finds nothing where all is well, and exactly what is wrong where it is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.audit import audit
from deploy.importer.in_process import InProcess
from deploy.simulator import INTERNAL_DOMAIN, Population
from schemas.config.definitions import build
from schemas.config.loading import load_settings
from tests.support.audited import compared, differences, load, unproven
from tests.support.tables import empty_tables, fresh_database
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    SECOND,
    SECRETS,
    api_call,
    clock,
    deliveries,
    identify,
    journey,
    key_created,
    merge,
    page_viewed,
    record,
    signed_up,
    small_definitions,
    talk_given,
    worlds,
)

DEFINITIONS = small_definitions()


# Nothing is wrong


def test_a_journey_agrees_and_all_of_it_is_compared(client, address):
    load(address, [*journey().records, record(talk_given(MONDAY))], DEFINITIONS)
    found = audit(address, DEFINITIONS, copies_seconds=0)
    assert differences(found) == {}
    numbers = compared(found)
    # No user of this world has that much.
    assert numbers.pop("automated traffic") == 0
    assert min(numbers.values()) > 0, numbers
    assert found.events == client.command("SELECT count() FROM events")


def test_an_empty_database_agrees(client, address):
    found = audit(address, DEFINITIONS)
    assert differences(found) == {}
    assert set(compared(found).values()) == {0}


def test_one_event_agrees(client, address):
    load(address, [record(page_viewed(MONDAY, anonymous_id="a"))], DEFINITIONS)
    found = audit(address, DEFINITIONS)
    assert differences(found) == {}
    assert compared(found)["developers"] == 1


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(data=st.data())
def test_any_world_in_any_order_agrees(client, address, data):
    empty_tables(client)
    records = data.draw(worlds(shifted_copies=False))
    load(address, data.draw(deliveries(records)), DEFINITIONS)
    found = audit(address, DEFINITIONS, copies_seconds=0)
    assert differences(found) == {}


SELECTORS = {
    "page": {"source": "web", "name": "Page Viewed"},
    "sign_up": {"name": "Signed Up"},
    "call": {"source": "api", "name": "API Call"},
    "equal_text": {"properties": {"value": "1"}},
    "equal_number": {"properties": {"value": 1}},
    "equal_float": {"properties": {"value": 0.3}},
    "equal_large": {"properties": {"value": 9007199254740993}},
    "equal_true": {"properties": {"value": True}},
    "equal_list": {"properties": {"value": ["a'b\\", 2, False, 1.5]}},
    "prefix": {"properties": {"value": {"prefix": "a'"}}},
    "less": {"properties": {"value": {"lt": 400}}},
    "between": {"properties": {"value": {"gte": 1, "lte": 2.5}}},
    "greater_or_missing": {"properties": {"value": {"gt": 1, "or_missing": True}}},
    "exists": {"properties": {"value": {"exists": True}}},
    "absent": {"properties": {"value": {"exists": False}}},
    "test_or_development": {"environment": ["test", "development"], "properties": {"a.b": {"prefix": "ł"}}},
}
VALUES = [
    *(
        None,
        True,
        False,
        0,
        1,
        1.0,
        2,
        2.5,
        -1,
        0.3,
        0.1 + 0.2,
        1.5,
        399.999,
        400,
        1e300,
        9007199254740992,
        9007199254740993,
    ),
    *("", "1", "1.0", "true", "null", "a'b\\", "a'", "ab", "ł", [], [1], {}, {"value": 1}),
]


def test_every_kind_of_selector_matches_in_sql_what_it_matches_in_the_streams(client, address):
    """Each selector is a stage and each event another visitor's, so that each match shows by itself."""
    definitions = build(
        {
            "selectors": SELECTORS,
            "stages": {
                "signup": {"phase": "adoption", "selector": "sign_up"},
                "first_call": {"phase": "adoption", "selector": "call"},
            }
            | {name: {"phase": "adoption", "selector": name} for name in SELECTORS},
            "activations": {
                "called": {"levels": ["developer"], "anchor": "signup", "all": [{"count": "call", "at_least": 1}]}
            },
            "usage": "call",
            "touch": "prefix",
        }
    )
    events = [
        record(
            page_viewed(MONDAY, anonymous_id=f"{place}-{environment}", environment=environment)
            | {"properties": {"value": value, "a.b": "łódź"} if value is not None or place % 2 else {}}
        )
        for place, value in enumerate([*VALUES, None])
        for environment in ("production", "test")
    ]
    load(address, events, definitions)
    found = audit(address, definitions)
    assert compared(found)["developers"] == len(events)
    assert differences(found) == {}
    entered = client.query(
        "SELECT arrayJoin(mapKeys(stages)) AS stage, count() FROM developers GROUP BY stage"
    ).result_rows
    assert {name for name, _ in entered} >= set(SELECTORS) - {"sign_up", "call"}, "all selectors match something"


def test_touches_are_read_as_the_streams_read_them(client, address):
    pages: list[dict[str, Any]] = [
        {"url": "https://docs.example.com:8443/a?utm_campaign=Spring%20sale&utm_source=x+y"},
        {"url": "https://user@www.docs.example.com/a", "referrer": "https://WWW.docs.example.com/b"},
        {"url": "https://docs.example.com/a", "referrer": "https://news.example.org/?q=1"},
        {"url": "http://[broken", "referrer": "https://news.example.org"},
        {"referrer": "no address"},
        {"utm_medium": "mail", "path": "/p"},
        {"utm_medium": 5, "url": "https://docs.example.com/?utm_term=" + "t" * 300},
        {"url": 7, "referrer": ["https://news.example.org"]},
    ]
    contexts: list[dict[str, Any]] = [
        {},
        {"campaign": {"name": "Autumn", "content": ""}},
        {"campaign": "Autumn", "page": {"url": "https://docs.example.com/?utm_content=c", "path": "/deep"}},
        {"page": ["no object"], "referrer": "https://forum.example.net/t"},
    ]
    load(
        address,
        [
            record(
                page_viewed(MONDAY, anonymous_id=f"{p}-{c}")
                | {"properties": page, "context": context, "name": "Page Viewed"}
            )
            for p, page in enumerate(pages)
            for c, context in enumerate(contexts)
        ],
        DEFINITIONS,
    )
    found = audit(address, DEFINITIONS)
    assert differences(found) == {}
    touched = client.command(
        "SELECT uniqExact(first_touch_campaign, first_touch_referrer, first_touch_path) FROM developers"
    )
    assert int(str(touched)) > 10


@pytest.mark.parametrize("limit", ["web_alias_events", "web_alias_users", "web_alias_links"])
def test_an_alias_beyond_a_limit_counts_for_nothing(limit, client, address):
    definitions = build(DEFINITIONS.model_dump() | {"limits": {limit: 3}})
    load(
        address,
        [
            record(message)
            for place in range(5)
            for message in (
                page_viewed(MONDAY + place * DAY, anonymous_id="crowd", message_id=f"p{place}"),
                identify(MONDAY + place * DAY + 1, f"u{place}", anonymous_id="crowd", message_id=f"i{place}"),
                page_viewed(MONDAY + place * DAY, anonymous_id="bot", message_id=f"b{place}"),
                page_viewed(MONDAY + place * DAY, anonymous_id="robot", message_id=f"r{place}"),
                identify(MONDAY, "owner", anonymous_id="robot", message_id="l0"),
                page_viewed(MONDAY, anonymous_id=f"a{place}", message_id=f"o{place}"),
            )
        ],
        definitions,
    )
    found = audit(address, definitions)
    assert differences(found) == {}
    assert compared(found)["developers"] > 0
    # The events that a crowded alias holds count for nothing with an API key and without one.
    assert compared(found)["automated traffic"] == (3 if limit == "web_alias_events" else 2)


def test_each_identifier_that_leads_to_nobody_leaves_the_next_one(client, address):
    """A session splits from its device, a lone session goes by its device, a key with an owner counts whatever its device is."""
    load(
        address,
        [
            record(key_created(MONDAY, api_key="k1", user_id="u1", company_id="acme")),
            record(signed_up(MONDAY, user_id="u2", anonymous_id="a", company_id="globex", message_id="s2")),
            record(identify(MONDAY, "u3", session_token="s3", message_id="i3")),
            record(page_viewed(MONDAY + HOUR, anonymous_id="a", session_token="s3", message_id="p3")),
            record(page_viewed(MONDAY + HOUR, anonymous_id="a", session_token="s4", message_id="p4")),
            record(page_viewed(MONDAY + 2 * HOUR, session_token="s4", message_id="lone")),
            record(page_viewed(MONDAY + HOUR, anonymous_id="b", session_token="s5", message_id="p5")),
            record(page_viewed(MONDAY + 2 * HOUR, session_token="s5", message_id="lone5")),
            record(page_viewed(MONDAY + HOUR, anonymous_id="named", message_id="p6")),
            record(merge(MONDAY + DAY, "named", "u3", message_id="m3")),
            *(
                record(
                    api_call(MONDAY + place * HOUR + 1, api_key=key, anonymous_id="busy", message_id=f"{key}-{place}")
                )
                for key in ("k1", "k2")
                for place in range(5)
            ),
            record(page_viewed(MONDAY + HOUR, anonymous_id="busy", message_id="p7")),
        ],
        DEFINITIONS,
    )
    found = audit(address, DEFINITIONS)
    assert differences(found) == {}
    assert [one.published for one in found.findings if one.published == "automated traffic" and one.agree == 1]
    developers = client.query("SELECT id FROM developers ORDER BY id").result_rows
    assert [each for (each,) in developers] == ["anonymous_id:b", "anonymous_id:busy", "u1", "u2", "u3"]
    # Both keys are active tokens; of the calls from the busy device only those with the owned one are a developer's.
    assert compared(found)["activity of tokens"] == 2
    assert compared(found)["activity of developers"] == 1


def test_a_simulated_population_agrees(clickhouse, monkeypatch, tmp_path):
    definitions = build({"internal": {"email_domains": [INTERNAL_DOMAIN]}})
    with fresh_database(clickhouse) as fresh:
        monkeypatch.setenv("FIRSTCALL_CLICKHOUSE", f"{clickhouse}/{fresh.database}")
        monkeypatch.setenv("FIRSTCALL_DATA_DIR", str(tmp_path))
        job = InProcess(load_settings(), definitions, SECRETS)
        for topic, value in Population(seed=5, target_events=8_000, bad=5).messages():
            job.send(topic, None, value)
        job.finish()
        found = audit(fresh, definitions)
    assert differences(found) == {}
    numbers = compared(found)
    # No user of this world has that much.
    assert numbers.pop("automated traffic") == 0
    assert min(numbers.values()) > 0, numbers


def test_a_shared_device_is_split_at_its_links(client, address):
    """
    device   ──p1──┬──p2───────┬p3──▶
                   u1          u2
    """
    load(
        address,
        [
            record(page_viewed(MONDAY, anonymous_id="a", message_id="p1")),
            record(identify(MONDAY + HOUR, "u1", anonymous_id="a", message_id="i1")),
            record(page_viewed(MONDAY + 25 * HOUR - 1, anonymous_id="a", message_id="p2")),
            record(identify(MONDAY + 25 * HOUR, "u2", anonymous_id="a", message_id="i2")),
            record(page_viewed(MONDAY + 25 * HOUR, anonymous_id="a", message_id="p3")),
        ],
        DEFINITIONS,
    )
    found = audit(address, DEFINITIONS)
    assert differences(found) == {}
    assert compared(found)["developers"] == 2


def test_a_key_is_one_token_under_all_of_its_hashes(client, address):
    old, new = SECRETS[0], b"another secret of the tests"
    load(
        address,
        [
            record(key_created(MONDAY, api_key="k1", user_id="u1", company_id="acme")),
            record(api_call(MONDAY + DAY, api_key="k1")),
            record(api_call(MONDAY + 2 * DAY, api_key="k1")),
        ],
        DEFINITIONS,
        secrets=[(old,), (old, new), (new,)],
    )
    assert len(client.query("SELECT DISTINCT api_key FROM events").result_rows) == 2
    found = audit(address, DEFINITIONS)
    assert differences(found) == {}
    assert compared(found)["activity of tokens"] == 2


# A later copy of an event leaves no row


def test_what_only_a_later_copy_explains_is_unproven_and_a_difference_where_copies_are_ruled_out(client, address):
    """
    hour    ──────── 9 ──────────────┼──────── 10 ───
    call                        first│copy, two seconds later
    """
    end_of_hour = MONDAY + 10 * HOUR
    first = api_call(end_of_hour - SECOND, api_key="k1", message_id="c1")
    load(address, [record(first), record(first | {"time": clock(end_of_hour + SECOND)})], DEFINITIONS)
    found = audit(address, DEFINITIONS, copies_seconds=3)
    assert differences(found) == {}
    assert unproven(found) == {"developers: last active": 1, "activity of tokens": 1}
    strict = differences(audit(address, DEFINITIONS, copies_seconds=0))
    assert {"developers: last active", "activity of tokens", "rolling counts"} == set(strict)

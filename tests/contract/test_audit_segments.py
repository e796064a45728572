"""The audit of segments: the values that events carry, the counts by them, and what only a later copy explains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deploy.audit import audit
from schemas.config.definitions import build
from tests.support.audited import compared, differences, load, unproven
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    SECOND,
    Message,
    api_call,
    clock,
    event,
    identify,
    key_created,
    page_viewed,
    record,
    small_definitions,
)

DEFINITIONS = small_definitions()

VALUES = [
    *(None, True, 0, -5, 2**53, 2**53 + 1, -(2**53) - 1, 1.0, 1e2, 2.5, [], ["go"], {}, {"go": "go"}),
    *("", "  ", "42", "true", "go", " go ", "GO", "\u2003go\u00a0", "\x1cgo\x1f", "\u200bgo", "acme-Go/2.1", "go_lang"),
    *("ＧＯ", "großer Igor", "İGO", "Ünï go", "one go\ttwo", 'a "go" \\', "go\x00"),
    *("py" * 600 + " go", "łódź" * 20, "ß😀" * 11),
]


FORMS: list[Callable[[Any], Message]] = [
    lambda value: {"properties": {"value": value, "status": 200}},
    lambda value: {"context": {"given": {"deep value": value}}},
    lambda value: {"context": {"given": value}, "traits": {"value": value}},
]


def test_segments_are_read_as_the_streams_read_them(client, address):
    """Each event is another visitor's, so that its values show by themselves."""
    fields = ["properties.value", "context.given.deep value", "properties.given", "traits.value"]
    definitions = build(
        DEFINITIONS.model_dump()
        | {
            "segments": {
                "word": {"fields": fields, "words": True, "values": ["two", "go", "ünï"]},
                "text": {"fields": fields[:2], "take": "last", "values": ["go", "42"]},
                "deep": {"fields": ["context.given", "context.given.deep value.go"]},
            }
        }
    )
    load(
        address,
        [
            record(
                api_call(MONDAY, api_key=f"k{place}-{form}")
                | {"properties": {"given": "else", "status": 200}, "context": {}}
                | form_of(value)
            )
            for place, value in enumerate(VALUES)
            for form, form_of in enumerate(FORMS)
        ],
        definitions,
    )
    found = audit(address, definitions)
    assert differences(found) == {}
    assert compared(found)["developers"] == len(VALUES) * 3
    words = dict(client.query("SELECT segments['word'] AS word, count() FROM developers GROUP BY word").result_rows)
    assert words["go"] > 20
    assert len(words) > 10


def test_what_only_has_a_segment_counts_as_an_event_but_makes_no_subject(client, address):
    definitions = build(DEFINITIONS.model_dump() | {"limits": {"web_alias_events": 2}})
    load(
        address,
        [
            record(identify(MONDAY, "u1", traits={"plan": "free"}, message_id="i1")),
            *(
                record(message)
                for place, device in enumerate(("a", "a", "a", "b", "b"))
                for message in [
                    event("Plan Shown", MONDAY + place * HOUR, anonymous_id=device, context={"country": "DE"})
                ]
            ),
            record(page_viewed(MONDAY + DAY, anonymous_id="b")),
        ],
        definitions,
    )
    found = audit(address, definitions)
    assert differences(found) == {}
    assert client.query("SELECT id, is_bot FROM developers ORDER BY id").result_rows == [
        ("anonymous_id:a", True),
        ("anonymous_id:b", True),
    ]


def test_of_touches_at_one_moment_the_smallest_decides(client, address):
    """So many that no list of the first ones could hold them."""
    definitions = build(DEFINITIONS.model_dump() | {"limits": {}})
    load(
        address,
        [
            record(
                page_viewed(MONDAY, f"/{path}", {"utm_medium": medium}, anonymous_id="a", message_id=f"{path}-{medium}")
            )
            for path in range(40)
            for medium in ("video", "cpc", "mail")
        ],
        definitions,
    )
    found = audit(address, definitions)
    assert differences(found) == {}
    row = client.query("SELECT first_touch_path, segments FROM developers").result_rows
    assert row == [("/0", {"channel": "cpc"})]


def test_a_last_value_that_only_a_later_copy_explains_is_unproven_in_profiles_and_counts(client, address):
    """
    second   0 ─── 1 ─── 2 ───
    plan     free  paid  free, a copy of the first
    """
    last = {"plan": {"fields": ["properties.plan"], "take": "last", "values": ["paid"]}}
    definitions = build(DEFINITIONS.model_dump() | {"segments": last})
    free, paid = (
        api_call(MONDAY + place * SECOND, api_key="k1", company_id="acme", message_id=f"c{place}")
        | {"properties": {"status": 200, "plan": plan}}
        for place, plan in enumerate(("free", "paid"))
    )
    copy = free | {"time": clock(MONDAY + 2 * SECOND)}
    load(
        address,
        [record(key_created(MONDAY - DAY, api_key="k1", user_id="u1")), *(record(each) for each in (free, paid, copy))],
        definitions,
    )
    assert client.query("SELECT segments['plan'] FROM developers").result_rows == [("free",)]
    found = audit(address, definitions, copies_seconds=3)
    assert differences(found) == {}
    assert unproven(found) == {
        "developers: last active": 1,
        "developers: segments": 1,
        "companies: last active": 1,
        "companies: segments": 1,
        # Of the token alone: in each of three windows, up and down, at the one value and at the other.
        "rolling counts": 12,
    }
    strict = differences(audit(address, definitions, copies_seconds=0))
    assert {"developers: segments", "companies: segments", "rolling counts"} < set(strict)
    client.command(
        "INSERT INTO rolling_rows SELECT * REPLACE (version + 1 AS version, delta * 2 AS delta)"
        " FROM (SELECT * FROM rolling_rows FINAL WHERE metric = 'active_tokens' AND segment = 'plan')"
    )
    doubled = differences(audit(address, definitions, copies_seconds=3))
    assert [each.id.partition(" developer ")[0] for each in doubled["rolling counts"]] == ["active_tokens"] * 5

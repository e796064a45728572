"""Segments: the values of an event, what a subject keeps of it, and how rolling counts follow, with literal answers."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.config.definitions import Definitions, build
from streams.facts.segments import SegmentReader
from streams.normalise.normaliser import Normaliser
from tests.laws.test_law_core import assert_equal
from tests.laws.test_law_core import run as run_small
from tests.support.reference import Published, Record, compute
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    SECRETS,
    Message,
    event,
    group,
    identify,
    page_viewed,
    record,
    signed_up,
    small_definitions,
)
from tests.support.worlds.builders import as_bytes

SMALL = small_definitions()
KEY = "sk_live_1"


def values_of(message: Message, **segments: Any) -> dict[str, str]:
    """The event's values of these segments, by name."""
    definitions = build({"segments": segments})
    one = record(message)
    value = as_bytes(one).value
    assert isinstance(value, bytes)
    (found,) = Normaliser(definitions, SECRETS)(value, source="api", recorded_at=one.timestamp_ms)
    reader = SegmentReader(definitions)
    return {reader.names[i]: text for i, text in (reader(found) or {}).items()}  # type: ignore[arg-type]


def call(**parts: Any) -> Message:
    return event("API Call", MONDAY, api_key=KEY, **parts)


TECHNOLOGY = {"fields": ["properties.technology", "context.library.name"], "values": ["python", "go"], "words": True}


@pytest.mark.parametrize(
    ("parts", "value"),
    [
        ({"properties": {"technology": "python"}}, "python"),
        ({"properties": {"technology": " PYTHON 3.12 "}}, "python"),
        ({"properties": {"technology": "acme-go/2.1 (python)"}}, "python"),
        ({"properties": {"technology": "django"}}, "django"),
        ({"properties": {"technology": ""}, "context": {"library": {"name": "analytics-go"}}}, "go"),
        ({"properties": {"technology": 3}, "context": {"library": {"name": "analytics-go"}}}, "3"),
        ({"context": {"library": "go"}}, None),
        ({"properties": {"technology": ["python"]}}, None),
        ({"properties": {"technology": True}}, None),
        ({"properties": {"technology": 2**60}}, None),
        ({"properties": {"technology": "ł" * 100}}, "ł" * 32),
        ({}, None),
    ],
)
def test_the_first_field_with_a_value_is_read_as_a_bounded_text(parts, value):
    assert values_of(call(**parts), technology=TECHNOLOGY).get("technology") == value


def publish(messages: list[Message]) -> Published:
    """What the streams publish, which the reference computes too."""
    records: list[Record] = [record(message) for message in messages]
    published = run_small(records)
    assert_equal(compute(records, SMALL, SECRETS), published)
    return published


def value(published: Published, segment: str, named: str, metric: str, level: str, time: int) -> int:
    """A count over 7 days by segment."""
    return sum(
        change
        for (*place, hour), change in published.rolling_by_segment.items()
        if (*place,) == (segment, named, metric, level, 168) and hour <= time
    )


def test_the_first_technology_and_the_last_plan_stay():
    published = publish(
        [
            signed_up(MONDAY, user_id="ada", properties={"technology": "python", "plan": "free"}),
            identify(MONDAY + HOUR, user_id="ada", traits={"technology": "go", "plan": "business", "country": "DE"}),
            group(MONDAY - DAY, user_id="ada", company_id="acme", traits={"plan": "trial"}),
        ]
    )
    assert published.developers["ada"]["segments"] == {"technology": "python", "plan": "business", "country": "DE"}
    # A company has the values of the events that belong to it; these all do, by the developer's last company.
    assert published.companies["acme"]["segments"] == published.developers["ada"]["segments"]


def test_a_segment_of_the_first_touch_is_what_the_first_touch_has():
    ad: Message = page_viewed(
        MONDAY, anonymous_id="a1", properties={"path": "/", "utm_medium": "cpc", "utm_campaign": "may"}
    )
    later: Message = page_viewed(MONDAY + DAY, anonymous_id="a1", properties={"path": "/", "utm_medium": "email"})
    published = publish([later, ad, identify(MONDAY + 2 * DAY, user_id="ada", anonymous_id="a1")])
    assert published.developers["ada"]["segments"] == {"channel": "cpc"}


def test_counts_by_segment_follow_a_late_link_from_one_value_to_another():
    use = call(properties={"technology": "go"})
    before = publish([use, signed_up(MONDAY, user_id="ada", api_key=KEY)])
    assert value(before, "technology", "go", "active_tokens", "developer", MONDAY) == 1
    assert value(before, "technology", "go", "active_developers", "developer", MONDAY) == 1
    assert value(before, "technology", "go", "signups", "developer", MONDAY) == 1
    earlier = event("Page Viewed", MONDAY - DAY, anonymous_id="a1", properties={"technology": "python"})
    late = identify(MONDAY + 400 * DAY, user_id="ada", anonymous_id="a1")
    after = publish([use, signed_up(MONDAY, user_id="ada", api_key=KEY), earlier, late])
    assert value(after, "technology", "go", "signups", "developer", MONDAY) == 0
    assert value(after, "technology", "python", "signups", "developer", MONDAY) == 1
    # The token has the values of its own events.
    assert value(after, "technology", "go", "active_tokens", "developer", MONDAY) == 1


def test_values_without_a_name_count_as_other_and_segments_without_values_not_at_all():
    published = publish([signed_up(MONDAY, user_id="ada", properties={"technology": "cobol", "plan": "free"})])
    assert published.developers["ada"]["segments"] == {"technology": "cobol", "plan": "free"}
    assert {place[:2] for place in published.rolling_by_segment} == {("technology", "other")}


def test_an_event_with_only_a_segment_makes_no_subject():
    published = publish([identify(MONDAY, user_id="ada", traits={"plan": "free"})])
    assert (published.developers, published.rolling_by_segment) == ({}, {})


def test_a_signup_matures_when_the_span_of_the_activation_is_over():
    published = publish(
        [
            signed_up(MONDAY, user_id="ada"),
            signed_up(MONDAY, user_id="bob"),
            event("API Call", MONDAY + 27 * DAY, user_id="ada", api_key=KEY),
        ]
    )
    series = {
        metric: published.rolling_series(f"{metric}:first_call", "developer", 24)
        for metric in ("activated", "matured", "matured_activated")
    }
    assert series == {
        "activated": [(MONDAY + 27 * DAY, 1), (MONDAY + 28 * DAY, 0)],
        "matured": [(MONDAY + 28 * DAY, 2), (MONDAY + 29 * DAY, 0)],
        "matured_activated": [(MONDAY + 28 * DAY, 1), (MONDAY + 29 * DAY, 0)],
    }
    # A definition without a span never matures.
    assert not published.rolling_series("matured:whenever", "developer", 24)


def test_internal_developers_count_in_no_segment():
    published = publish([signed_up(MONDAY, user_id="employee", properties={"technology": "python"})])
    assert not published.rolling_by_segment


def test_the_shipped_segments_are_those_of_the_definitions():
    definitions: Definitions = build({})
    assert SegmentReader(definitions).names == ["country", "plan", "technology"]

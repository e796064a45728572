"""The views that dashboards read agree with what the reference computes from the same events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sinks.insert import RowInserter
from sinks.message_rows import RowCollector
from streams.local import LocalRunner
from streams.messages.outbox import Message
from streams.normalise.clock import text
from streams.normalise.normaliser import Normaliser
from tests.support.contract_reader import read_contract, rows, usage_differences, wire
from tests.support.reference import Published, Record, compute, differences
from tests.support.tables import empty_tables
from tests.support.worlds import (
    DAY,
    HOUR,
    MINUTE,
    MONDAY,
    SECRETS,
    ad_clicked,
    api_call,
    deliveries,
    group,
    identify,
    journey,
    merge,
    page_viewed,
    record,
    signed_up,
    small_definitions,
    worlds,
)

DEFINITIONS = small_definitions()
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - as the client gives a time of UTC


@pytest.fixture
def load(address):
    """Runs messages through the streams and the sink, in chunks that a seed decides."""
    writer = RowInserter(address)

    def run(records: list[Record], seed: int = 0) -> None:
        random = Random(seed)
        sink = RowCollector(writer, Normaliser(DEFINITIONS, SECRETS))

        def take(messages: list[Message]) -> None:
            for message in messages:
                sink.add(message.topic, message.value, 0)

        runner = LocalRunner(DEFINITIONS, SECRETS, take)
        for one in records:
            topic, value = f"{one.topic}-events", wire(one)
            runner.feed(topic, [(one.timestamp_ms, value)])
            sink.add(topic, value, one.timestamp_ms)
            if random.random() < 0.1:
                runner.run_until_idle()
                sink.write()
        runner.run_until_idle()
        sink.write()

    yield run
    writer.close()


@pytest.fixture
def insert(address):
    """Inserts rows of a table as the streams publish them."""
    writer = RowInserter(address)

    def write(table: str, *found: dict[str, Any]) -> None:
        assert writer.write(table, [orjson.dumps(row) for row in found]) == []

    yield write
    writer.close()


def hour(time: int) -> datetime:
    return EPOCH + timedelta(milliseconds=time)


def assert_equal(expected: Published, actual: Published) -> None:
    """Fail with every difference, one a line. `event_rows` has all that `events` has, and each copy by itself."""
    actual.events = expected.events
    sent = {row[0] for row in expected.event_rows}
    # An id that is derived from the content is each side's own.
    actual.event_rows = {row for row in actual.event_rows if row[0] in sent}
    lines = differences(expected, actual)
    assert not lines, "\n".join(lines)


# Against the reference


def test_a_journey_is_in_the_views_as_it_was(client, load):
    records = journey().records
    load(records)
    assert_equal(compute(records, DEFINITIONS, SECRETS), read_contract(client))
    assert usage_differences(client) == []


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(data=st.data())
def test_any_world_in_any_order_is_in_the_views_as_the_reference_computes_it(client, load, data):
    empty_tables(client)
    records = data.draw(worlds())
    load(data.draw(deliveries(records)), seed=data.draw(st.integers(0, 99)))
    assert_equal(compute(records, DEFINITIONS, SECRETS), read_contract(client))
    assert usage_differences(client) == []


# Events and identities


def test_events_of_a_shared_device_belong_to_the_user_known_at_the_time(client, load):
    """
    device   ──p1──┬──p2──────┬──p3──▶
                   u1         u2          before u1: u1's, who was known first
    """
    load(
        [
            record(page_viewed(MONDAY, anonymous_id="a", message_id="p1")),
            record(identify(MONDAY + HOUR, "u1", anonymous_id="a", message_id="i1")),
            record(page_viewed(MONDAY + HOUR + 1, anonymous_id="a", message_id="p2")),
            record(page_viewed(MONDAY + 25 * HOUR, anonymous_id="a", message_id="p3")),
            record(identify(MONDAY + 25 * HOUR, "u2", anonymous_id="a", message_id="i2")),
        ]
    )
    found = dict(rows(client, "SELECT message_id, developer_id FROM events_resolved WHERE name = 'Page Viewed'"))
    assert found == {"p1": "u1", "p2": "u1", "p3": "u2"}


def test_a_merged_user_has_the_developer_and_company_of_the_canonical_one(client, load):
    load(
        [
            record(signed_up(MONDAY, user_id="old", message_id="s")),
            record(merge(MONDAY + 1, "old", "new", message_id="m")),
            record(group(MONDAY + 2, "new", "acme", message_id="g")),
        ]
    )
    assert rows(client, "SELECT * FROM canonical_users ORDER BY user_id") == [
        ("new", "new", "acme"),
        ("old", "new", "acme"),
    ]
    assert rows(client, "SELECT developer_id, company_id FROM events_resolved WHERE message_id = 's'") == [
        ("new", "acme")
    ]


def test_a_journey_has_the_resolved_events_of_each_developer(client, load):
    records = journey().records + [
        record(page_viewed(MONDAY, anonymous_id="nobody", path=f"/{i}", message_id=f"n{i}")) for i in range(3)
    ]
    load(records)
    by_developer = rows(client, "SELECT developer_id, count() FROM events_resolved GROUP BY 1")
    assert ("anonymous_id:nobody", 3) in by_developer
    for developer, events in by_developer:
        query = "SELECT {columns} FROM {source} ORDER BY ALL"
        found = client.query(
            query.format(columns="*", source="journey(developer = {developer:String})"), {"developer": developer}
        )
        wanted = client.query(
            query.format(columns="*", source="events_resolved WHERE developer_id = {developer:String}"),
            {"developer": developer},
        )
        assert len(found.result_rows) == events
        assert found.result_rows == wanted.result_rows
    assert rows(client, "SELECT * FROM journey(developer = 'no one')") == []


# Profiles


def test_a_developer_has_a_column_for_each_stage_and_none_is_null(client, load):
    load(
        [
            record(ad_clicked(MONDAY, campaign="spring", user_id="u")),
            record(page_viewed(MONDAY + HOUR, path="/docs/start", user_id="u")),
            record(signed_up(MONDAY + 2 * HOUR, user_id="u")),
            record(api_call(MONDAY + 2 * HOUR + 90_500, user_id="u", api_key="sk_live_1")),
        ]
    )
    (developer,) = client.query("SELECT * FROM developers").named_results()
    assert (developer["visit_at"], developer["docs_at"]) == (hour(MONDAY + HOUR), hour(MONDAY + HOUR))
    assert developer["signup_at"] == hour(MONDAY + 2 * HOUR)
    assert developer["first_call_at"] == hour(MONDAY + 2 * HOUR + 90_500)
    assert developer["time_to_first_call_seconds"] == 90.5
    assert (developer["paying_at"], developer["advocate_at"]) == (None, None)
    assert (developer["first_touch_at"], developer["first_touch_campaign"]) == (hour(MONDAY), "spring")
    assert developer["first_touch_referrer"] == ""
    assert (developer["kind"], developer["is_internal"], developer["is_bot"]) == ("user", False, False)


def test_stages_of_ones_own_are_in_the_map(client, insert):
    at = "2026-01-05 00:00:00.000"
    insert(
        "profile_rows", {"level": "company", "id": "c", "kind": "company", "stages": {"own_stage": at}, "version": 1}
    )
    assert rows(client, "SELECT stages, visit_at FROM companies") == [({"own_stage": hour(MONDAY)}, None)]


def test_activations_leave_out_the_own_organisation_and_robots(client, insert):
    reached = {"activations": {"d": "2026-01-06 00:00:00.000"}, "activation_anchors": {"d": "2026-01-05 00:00:00.000"}}
    profile = {"level": "developer", "kind": "user", "company_id": "acme", "version": 1} | reached
    insert(
        "profile_rows",
        profile | {"id": "u"},
        profile | {"id": "employee", "is_internal": 1},
        profile | {"id": "robot", "is_bot": True},
        profile | {"id": "acme", "level": "company", "kind": "company", "company_id": ""},
    )
    columns = "level, definition, subject_id, company_id, anchor_at, activated_at"
    assert rows(client, f"SELECT {columns} FROM activations ORDER BY level") == [
        ("company", "d", "acme", "acme", hour(MONDAY), hour(MONDAY + DAY)),
        ("developer", "d", "u", "acme", hour(MONDAY), hour(MONDAY + DAY)),
    ]


# Activity and rolling counts


def test_activity_is_a_row_for_each_bit_of_the_day(client, insert):
    day = {"level": "token", "id": "k", "environment": "production", "day": "2026-01-05"}
    insert("activity_rows", day | {"hours": 0b1, "version": 1}, day | {"hours": 1 << 23 | 1 << 9, "version": 2})
    insert("activity_rows", day | {"day": "2026-01-06", "hours": 1, "version": 1})
    insert("activity_rows", day | {"day": "2026-01-06", "hours": 0, "version": 2})
    assert rows(client, "SELECT subject_id, toString(day), hour FROM activity ORDER BY hour") == [
        ("k", "2026-01-05", hour(MONDAY + 9 * HOUR)),
        ("k", "2026-01-05", hour(MONDAY + 23 * HOUR)),
    ]


def step(hours: int, delta: int, scope: str = "s0", version: int = 1, metric: str = "signups", window: int = 24):
    at = text(MONDAY + hours * HOUR)
    series = {"metric": metric, "level": "developer", "window_hours": window}
    return {"scope": scope, "hour": at, "delta": delta, "version": version} | series


def test_a_rolling_count_is_the_sum_of_all_steps_so_far_hour_by_hour(client, insert):
    """
    hour   0  1  2  3  4  5  6
    s0    +1       +1       -2
    s1    +1 -1 +1       -1
    sum    2  1  2  3  3  2  0
    """
    insert("rolling_rows", step(0, 1), step(3, 1), step(6, -2))
    insert("rolling_rows", *(step(h, delta, "s1") for h, delta in ((0, 1), (1, -1), (2, 1), (5, -1))))
    values = rows(client, "SELECT hour, value FROM rolling_counts ORDER BY hour")
    assert values == [(hour(MONDAY + i * HOUR), value) for i, value in enumerate((2, 1, 2, 3, 3, 2, 0))]


def test_a_step_that_is_published_again_replaces_the_older_one(client, insert):
    insert("rolling_rows", step(0, 5), step(2, -5))
    insert("rolling_rows", step(0, 7, version=3))
    insert("rolling_rows", step(0, 6, version=2))
    assert [value for (value,) in rows(client, "SELECT value FROM rolling_counts ORDER BY hour")] == [7, 7, 2]


def test_steps_that_cancel_out_are_no_hour_of_their_own(client, insert):
    """However the streams share out the work, the first and the last hour are those at which the count changes."""
    insert("rolling_rows", step(1, 1), step(2, -1), step(0, 0), step(9, 1, "s1"), step(9, -1, "s2"))
    assert rows(client, "SELECT hour, value FROM rolling_counts ORDER BY hour") == [
        (hour(MONDAY + HOUR), 1),
        (hour(MONDAY + 2 * HOUR), 0),
    ]


def test_hours_that_have_not_begun_are_not_shown(client, insert):
    """
    now            │
    s0    +1 ──────┼──────────▶ -1
    """
    began = (
        int((datetime.now(UTC).replace(tzinfo=None) - EPOCH - timedelta(hours=2)) / timedelta(hours=1)) - MONDAY // HOUR
    )
    insert("rolling_rows", step(began, 1), step(began + 24, -1))
    shown = [found for (found,) in rows(client, "SELECT hour FROM rolling_counts ORDER BY hour")]
    assert shown[0] == hour(MONDAY + began * HOUR)
    assert 3 <= len(shown) <= 5
    assert shown[-1] - datetime.now(UTC).replace(tzinfo=None) <= timedelta(hours=1)


def test_series_of_a_clock_that_is_ahead_end_with_the_last_rise_of_any(client, insert):
    later = (datetime(2100, 1, 1) - EPOCH) // timedelta(hours=1) - MONDAY // HOUR  # noqa: DTZ001 - as above
    insert("rolling_rows", step(later, 1), step(later + 24, -1), step(later + 5, 1, metric="active_tokens"))
    shown = rows(client, "SELECT metric, max(hour) FROM rolling_counts GROUP BY metric ORDER BY metric")
    assert shown == [(metric, hour(MONDAY + (later + 5) * HOUR)) for metric in ("active_tokens", "signups")]


def test_series_do_not_mix(client, insert):
    insert("rolling_rows", step(0, 1), step(1, 2, metric="active_tokens"), step(5, 4, window=168))
    found = rows(client, "SELECT metric, window_hours, hour, value FROM rolling_counts ORDER BY ALL")
    assert found == [
        ("active_tokens", 24, hour(MONDAY + HOUR), 2),
        ("signups", 24, hour(MONDAY), 1),
        ("signups", 168, hour(MONDAY + 5 * HOUR), 4),
    ]
    one = "SELECT value FROM rolling_counts WHERE metric = 'signups' AND window_hours = 168 AND hour > '2026-01-05'"
    assert rows(client, one) == [(4,)]


def test_dead_letters_show_each_refusal_once(client, insert):
    letter = {"topic": "web-events", "partition": 1, "offset": 7, "reason": "not_json", "field": "", "detail": "no"}
    for minutes in (1, 2):
        insert("dead_letter_rows", letter | {"payload": "{", "recorded_at": text(MONDAY + minutes * MINUTE)})
    insert("dead_letter_rows", letter | {"field": "batch[3]", "payload": "{", "recorded_at": text(MONDAY)})
    found = rows(client, "SELECT topic, partition, offset, reason, field, recorded_at FROM dead_letters ORDER BY field")
    assert found == [
        ("web-events", 1, 7, "not_json", "", hour(MONDAY + 2 * MINUTE)),
        ("web-events", 1, 7, "not_json", "batch[3]", hour(MONDAY)),
    ]

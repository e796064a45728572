"""The simulated population: reproducible, of the size that was asked for, and no larger in memory than a day of it."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from deploy.simulator import TOPICS, Population, events_per_developer
from schemas.event import Event, Rejected
from tests.support.simulated_world import DAY_MS, UNTIL_MS, Seen, four_hundred_developers, named, normaliser

SMALL = Population(seed=5, developers=40, days=20)


@pytest.fixture(scope="module")
def world() -> list[Seen]:
    return four_hundred_developers()


# -- reproducible ------------------------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_bytes_in_any_process():
    code = (
        "import hashlib; from deploy.simulator import Population; h = hashlib.sha256();\n"
        "for topic, value in Population(seed=5, developers=40, days=20).messages(): h.update(topic.encode() + value)\n"
        "print(h.hexdigest())"
    )
    here = hashlib.sha256()
    for topic, value in SMALL.messages():
        here.update(topic.encode() + value)
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    there = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here.hexdigest()


def test_another_seed_shares_no_message_no_person_and_no_key():
    def identifiers(seed: int) -> set[str]:
        fields = (
            "message_id",
            "messageId",
            "user_id",
            "userId",
            "anonymous_id",
            "anonymousId",
            "api_key",
            "company_id",
        )
        events = (orjson.loads(value) for _, value in Population(seed=seed, developers=20, days=10).messages())
        return {event[field] for event in events for field in fields if field in event}

    assert not identifiers(1) & identifiers(2)


def test_it_can_be_read_more_than_once_and_in_any_form():
    messages = list(SMALL.messages())
    file = io.BytesIO()
    calls: list[int] = []
    lines = SMALL.write_ndjson(file, calls.append)
    assert messages == list(SMALL.messages())
    assert file.getvalue() == b"".join(value + b"\n" for _, value in messages)
    assert lines == sum(calls) == len(messages)
    assert all(TOPICS[orjson.loads(value)["source"]] == topic for topic, value in messages)


def test_the_end_can_be_moved():
    earlier = Population(seed=5, developers=40, days=20, until=datetime(2025, 3, 1, tzinfo=UTC))
    normalise = normaliser()
    times = [
        event.time
        for topic, value in earlier.messages()
        for event in normalise(value, source="web", recorded_at=UNTIL_MS)
        if isinstance(event, Event)
    ]
    assert min(times) >= (earlier.until - timedelta(days=20)).timestamp() * 1000
    assert max(times) < earlier.until.timestamp() * 1000 + 1000


# -- size --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "developers", "days"),
    [(1, None, 60), (700, None, 7), (5_000, None, 30), (20_000, 60, 60), (9_001, 900, 14)],
)
def test_a_target_is_met_exactly(events: int, developers: int | None, days: int):
    population = Population(seed=2, developers=developers, days=days, target_events=events)
    assert sum(1 for _ in population.messages()) == events == population.expected_events


@pytest.mark.parametrize("days", [7, 30, 60])
def test_the_number_of_events_is_foretold_within_a_fifth(days: int):
    population = Population(seed=4, developers=400, days=days)
    events = sum(1 for _ in population.messages())
    assert events == pytest.approx(400 * events_per_developer(days), rel=0.2)


def test_as_many_sign_up_as_asked_for(world: list[Seen]):
    signed_up = {seen.event.user_id for seen in named(world, "Signed Up")}
    second_accounts = {seen.event.previous_id for seen in world if seen.event.type == "merge"} & signed_up
    assert 0.98 * 400 <= len(signed_up - second_accounts) <= 400


def test_memory_holds_a_day_and_not_the_whole():
    def run(events: int) -> tuple[int, int]:
        written = 0
        tracemalloc.start()
        for _, value in Population(seed=1, developers=30, days=60, target_events=events).messages():
            written += len(value)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, written

    peak, written = run(40_000)
    assert peak < written / 8


@pytest.mark.parametrize(
    "options",
    [
        {"developers": 0},
        {"days": 0},
        {"bad": -1},
        {"target_events": 0},
        {"until": datetime(2026, 6, 1, 12, tzinfo=UTC)},
        {"until": datetime(2026, 6, 1)},  # noqa: DTZ001 - what is refused
    ],
)
def test_options_that_make_no_population_are_refused(options: dict[str, Any]):
    with pytest.raises(ValueError, match="must"):
        Population(**options)


# -- order, copies, faults ---------------------------------------------------------------------------------------------


def test_most_events_arrive_in_order_and_some_days_late(world: list[Seen]):
    late = [seen.arrived - seen.event.time for seen in world if seen.topic == "api-events"]
    assert 0.002 < sum(wait > 60_000 for wait in late) / len(late) < 0.03
    assert max(late) > DAY_MS


def test_some_events_are_sent_twice_with_the_same_content(world: list[Seen]):
    copies: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for seen in world:
        copies[seen.event.message_id].append(seen.raw)
    repeated = [group for group in copies.values() if len(group) > 1]
    assert len(repeated) == pytest.approx(0.01 * len(world), rel=0.1)
    clocks = {"sentAt", "receivedAt"}
    for first, *others in repeated:
        for other in others:
            assert {k: v for k, v in first.items() if k not in clocks} == {
                k: v for k, v in other.items() if k not in clocks
            }
    assert any(group[0].get("sentAt") != group[1].get("sentAt") for group in repeated)


def test_wrong_clocks_are_put_right(world: list[Seen]):
    wrong = [
        seen
        for seen in world
        if "originalTimestamp" in seen.raw
        and abs(datetime.fromisoformat(seen.raw["originalTimestamp"]).timestamp() * 1000 - seen.event.time) > 60_000
    ]
    assert 0.01 < len(wrong) / sum("originalTimestamp" in seen.raw for seen in world) < 0.12
    assert all(UNTIL_MS - 60 * DAY_MS <= seen.event.time <= UNTIL_MS + 1000 for seen in world)


def test_bad_messages_come_on_top_and_leave_the_others_as_they_are():
    good = list(SMALL.messages())
    mixed = list(Population(seed=5, developers=40, days=20, bad=9).messages())
    added = Counter(mixed) - Counter(good)
    assert sum(added.values()) == 9
    assert [message for message in mixed if message not in added] == good
    normalise = normaliser()
    reasons: Counter[str] = Counter()
    for (topic, value), count in added.items():
        assert b"\n" not in value
        (refused,) = normalise(value, source="api" if topic == "api-events" else "web", recorded_at=UNTIL_MS)
        assert isinstance(refused, Rejected)
        reasons[refused.reason] += count
    assert reasons == {"not_json": 3, "unknown_type": 2, "no_identifier": 2, "future": 2}

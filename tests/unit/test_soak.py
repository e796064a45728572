"""The load of `make soak` and its verdict."""

from __future__ import annotations

from itertools import islice

from schemas.config.definitions import load
from schemas.event import Event
from streams.normalise.normaliser import Normaliser
from streams.topology import source_of
from tests.benchmarks.soak.crowd import DAYS, Crowd
from tests.benchmarks.soak.samples import Sample, trend
from tests.conftest import NOW_MS
from tests.support.worlds import SECRETS

DAY_MS = 86_400_000
EVENTS = 2_000


def test_a_later_month_is_the_first_again_by_the_same_people_with_other_messages():
    normaliser = Normaliser(load(), SECRETS)
    months: list[list[Event]] = [[], []]
    for number, (topic, value) in enumerate(islice(Crowd(40, EVENTS).messages(), 2 * (EVENTS + 20))):
        outcomes = normaliser(value, source=source_of(topic), recorded_at=NOW_MS)
        months[number // (EVENTS + 20)] += [event for event in outcomes if isinstance(event, Event)]
    first, second = months
    assert len(first) == len(second) > EVENTS * 0.9
    for before, after in zip(first, second, strict=True):
        assert after.time - before.time == DAYS * DAY_MS
        assert whose(after) == whose(before)
        assert after.message_id != before.message_id


def whose(event: Event) -> tuple[str, ...]:
    return event.alias, event.user_id, event.company_id


def samples(memory: list[float]) -> list[Sample]:
    return [Sample(i, i * 1_000_000, 0, 1, 1, {"worker": mb}, {}) for i, mb in enumerate(memory)]


def test_memory_that_fills_at_first_and_then_stays_is_flat():
    found = trend(samples([10, 200, 300, 300, 310, 300, 310, 305, 300, 310, 300, 310]), "worker")
    assert list(found.quarters) == [200.0, 300.0, 305.0, 310.0]
    assert found.is_flat


def test_memory_that_grows_with_events_is_not():
    found = trend(samples([300.0 + 20 * i for i in range(12)]), "worker")
    assert round(found.slope, 3) == 20.0
    assert not found.is_flat

"""The law on the core: however the events arrive, the streams publish what the reference computes from their set."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.local import LocalRunner
from tests.support.published import RowTopics
from tests.support.reference import Published, Record, compute, differences
from tests.support.worlds import (
    DAY,
    HOUR,
    MONDAY,
    SECRETS,
    Message,
    api_call,
    deliveries,
    identify,
    journey,
    merge,
    page_viewed,
    record,
    signed_up,
    small_definitions,
    worlds,
)
from tests.support.worlds.builders import as_bytes

DEFINITIONS = small_definitions()


def run(records: list[Record], *, partitions: int = 1, batch: int = 2_000, seed: int = 0) -> Published:
    """What the streams publish of the records, fed in chunks of `batch`; the seed decides which processor runs when."""
    random = Random(seed)
    topics = RowTopics()
    runner = LocalRunner(
        DEFINITIONS, SECRETS, topics.add, partitions=partitions, batch_size=batch, choose=random.choice
    )
    for start in range(0, len(records), batch):
        for each in records[start : start + batch]:
            value = as_bytes(each).value
            assert isinstance(value, bytes)
            runner.feed(f"{each.topic}-events", [(each.timestamp_ms, value)])
        for _ in range(random.randrange(4)):
            if not runner.run_one_batch():
                break
    runner.run_until_idle()
    return topics.published()


def assert_equal(expected: Published, actual: Published) -> None:
    """Fail with every difference, one a line. Rows of events are the sink's and not compared here."""
    actual.events, actual.event_rows = expected.events, expected.event_rows
    lines = differences(expected, actual)
    assert not lines, "\n".join(lines)


@settings(max_examples=max(200, settings().max_examples), suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_order_any_duplicates_any_batches_any_partitions_give_the_reference(data: Any) -> None:
    records = data.draw(worlds())
    delivered = data.draw(deliveries(records))
    actual = run(
        delivered,
        partitions=data.draw(st.integers(1, 3)),
        batch=data.draw(st.sampled_from([1, 3, 1000])),
        seed=data.draw(st.integers(0, 1000)),
    )
    assert_equal(compute(records, DEFINITIONS, SECRETS), actual)


def test_a_journey_ends_as_one_developer_and_one_company() -> None:
    records = journey().records
    assert_equal(compute(records, DEFINITIONS, SECRETS), run(records))
    assert_equal(compute(records, DEFINITIONS, SECRETS), run(records[::-1], batch=1))


def story(*messages: Message) -> None:
    """The streams agree with the reference on a story, fed one message after the other, and backwards."""
    records = [record(message) for message in messages]
    for delivered in (records, records[::-1]):
        assert_equal(compute(records, DEFINITIONS, SECRETS), run(delivered, batch=1))


def test_ids_made_of_separators_are_different_ids() -> None:
    story(
        page_viewed(MONDAY, anonymous_id="a/b", company_id="c"),
        page_viewed(MONDAY + HOUR, anonymous_id="a", company_id="b/c"),
        identify(MONDAY + DAY, "u", anonymous_id="a/b"),
        identify(MONDAY + DAY, "u", anonymous_id="a"),
        signed_up(MONDAY, user_id="a/b"),
        signed_up(MONDAY + DAY, user_id="a", company_id="b/"),
        merge(MONDAY + 2 * DAY, "a/b", "u"),
        merge(MONDAY + 2 * DAY, "a", "u"),
    )


def test_a_key_that_comes_back_to_a_developer_receives_its_internal_flag() -> None:
    story(
        identify(MONDAY, "x", traits={"email": "x@own.example"}),
        api_call(MONDAY + HOUR, api_key="sk_live_1", user_id="m"),
        merge(MONDAY + 2 * HOUR, "x", "A"),
        merge(MONDAY + 2 * HOUR, "m", "A"),
        merge(MONDAY + 3 * HOUR, "m", "m"),
        merge(MONDAY + 4 * HOUR, "x", "x"),
        merge(MONDAY + 5 * HOUR, "m", "A"),
    )

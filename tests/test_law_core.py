"""The law on the core: however the events arrive, the streams publish what the reference computes from their set."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.local import LocalRunner
from tests.published import RowTopics
from tests.reference import Published, Record, compute, differences
from tests.worlds import SECRETS, deliveries, journey, small_definitions, worlds
from tests.worlds.builders import as_bytes

DEFINITIONS = small_definitions()


def run(records: list[Record], *, partitions: int = 1, batch: int = 2_000, seed: int = 0) -> Published:
    """What the streams publish of the records, fed in chunks of `batch`; the seed decides which stage runs when."""
    random = Random(seed)
    topics = RowTopics()
    runner = LocalRunner(
        DEFINITIONS, SECRETS, topics.add, partitions=partitions, batch_size=batch, choose=random.choice
    )
    for start in range(0, len(records), batch):
        for record in records[start : start + batch]:
            value = as_bytes(record).value
            assert isinstance(value, bytes)
            runner.feed(f"{record.topic}-events", [(record.timestamp_ms, value)])
        for _ in range(random.randrange(4)):
            if not runner.step_any():
                break
    runner.settle()
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

"""The law while the HMAC secret is rotated: a key stays one token of one developer, under whichever secret it is read."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws.test_law_core import assert_equal
from tests.laws.test_law_crashes import CrashingRunner
from tests.support.published import RowTopics
from tests.support.rotation import expected, publish, read_under, rotated_worlds


@settings(max_examples=max(200, settings().max_examples), suppress_health_check=list(HealthCheck))
@given(world=rotated_worlds(), data=st.data())
def test_any_secrets_in_any_order_give_the_reference_of_one_secret(world: Any, data: Any) -> None:
    records, keys, readings = world
    actual = publish(
        readings,
        partitions=data.draw(st.integers(1, 3)),
        batch=data.draw(st.sampled_from([1, 3, 1000])),
        seed=data.draw(st.integers(0, 1000)),
    )
    assert_equal(expected(records, keys), actual)


@settings(max_examples=max(150, settings().max_examples), suppress_health_check=list(HealthCheck))
@given(world=rotated_worlds(), seed=st.integers(0, 100_000))
def test_so_they_do_through_crashes(world: Any, seed: int) -> None:
    records, keys, readings = world
    rows = RowTopics()
    runner = CrashingRunner(seed, rows)
    for one, secrets in readings:
        read_under(runner, secrets, one)
    runner.run_until_idle()
    assert_equal(expected(records, keys), rows.published())

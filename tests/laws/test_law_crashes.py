"""Numbers are a function of the set of events (`test_law_core.py`), also if processors crash between any two effects of a batch.

The effects of a batch are its intent, its messages, one by one, its changes, one by one (the changelog), and the commit. Here a
crash is a place in that list. What was sent stays sent, what was written stays written, and the batch comes again, often
cut differently.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.local import LocalRunner
from streams.normalise.suppression_list import SuppressionList
from streams.processors import Outcome
from streams.state.rows import MemoryStore
from tests.laws.test_law_core import DEFINITIONS, assert_equal
from tests.support.published import RowTopics
from tests.support.reference import Published, Record, compute
from tests.support.worlds import SECRETS, as_bytes, deliveries, worlds


class Crashed(Exception):
    """The worker has stopped."""


class CrashingRunner(LocalRunner):
    """Crashes at a random place of every other batch, and takes batches of another size each time."""

    def __init__(self, seed: int, rows: RowTopics, erased: SuppressionList | None = None) -> None:
        self._random = Random(seed)
        self.crashes = 0
        super().__init__(DEFINITIONS, SECRETS, rows.add, partitions=2, choose=self._random.choice, erased=erased)

    def run_one_batch(self) -> bool:
        self._batch_size = self._random.choice([1, 2, 5, 100])
        try:
            return super().run_one_batch()
        except Crashed:
            self.crashes += 1
            return True

    def _apply(self, store: MemoryStore, outcome: Outcome) -> None:
        if self._random.random() < 0.5:
            super()._apply(store, outcome)
            return
        effects = [
            *(lambda change=change: store.write([change]) for change in outcome.intent),
            *(lambda message=message: self.enqueue([message]) for message in outcome.messages),
            *(lambda change=change: store.write([change]) for change in outcome.changes),
        ]
        for effect in effects[: self._random.randint(0, len(effects))]:
            effect()
        raise Crashed


def run(records: list[Record], seed: int) -> tuple[Published, int]:
    """What is published after all crashes, and how many there were."""
    rows = RowTopics()
    runner = CrashingRunner(seed, rows)
    for record in records:
        value = as_bytes(record).value
        assert isinstance(value, bytes)
        runner.feed(f"{record.topic}-events", [(record.timestamp_ms, value)])
    runner.run_until_idle()
    return rows.published(), runner.crashes


@settings(max_examples=max(150, settings().max_examples), suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_crashes_at_any_place_lose_and_double_nothing(data: Any) -> None:
    records = data.draw(worlds())
    published, _ = run(data.draw(deliveries(records)), data.draw(st.integers(0, 100_000)))
    assert_equal(compute(records, DEFINITIONS, SECRETS), published)


def test_the_runner_does_crash() -> None:
    record = Record("web", {"name": "Signed Up", "user_id": "u1", "time": "2026-01-05T10:00:00Z"}, 1_767_607_200_000)
    assert sum(run([record], seed)[1] for seed in range(20)) > 5

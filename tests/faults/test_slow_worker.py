"""A busy processor does nothing twice, and holds up no other one."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from schemas.config.definitions import load
from streams.runtime.batch_consumer import BatchConsumer
from streams.runtime.partition_progress import PartitionProgress
from streams.runtime.worker_report import report
from tests.benchmarks.recovery import signups
from tests.support.pipeline import running
from tests.support.scraped import metrics_of
from tests.support.workers.slow import SLOW

EVENTS, BATCH = 300, 20
BUSY, FREE, CHANGELOG = TP("updates", 0), TP("events", 0), TP("changelog", 0)


def test_a_batch_that_waits_for_a_busy_processor_does_not_count_as_dropped(
    broker: str, unique: str, tmp_path: Path
) -> None:
    with running(broker, unique, tmp_path, load(), workers=0) as pipeline:
        pipeline._options["batch_size"] = BATCH
        pipeline.feed(signups(EVENTS))
        pipeline.start("worker-1", "tests.support.workers.slow")
        pipeline.await_idle()
        scraped = metrics_of(pipeline.url("worker-1"))
        assert scraped.sum("firstcall_messages_read_total", processor=SLOW) == EVENTS


def test_a_partition_is_not_fetched_while_a_batch_of_it_waits():
    consumer = reader()
    for tp in (BUSY, CHANGELOG):
        progress = consumer._progress[tp]
        progress.expected = 0
        progress.delivered.append((10, 0))
    assert asked_of(consumer) == {FREE, CHANGELOG}
    # It is accepted.
    consumer._progress[BUSY].expected = 10
    assert asked_of(consumer) == {BUSY, FREE, CHANGELOG}


def test_a_partition_whose_batch_waits_goes_on_as_its_processor_does():
    other = TP(BUSY.topic, 1)
    consumer = reader()
    consumer.assigned, consumer.steps, consumer.flow_active = frozenset({BUSY, other}), Counter(), True
    consumer.app.queues["fold"] = SimpleNamespace(_queue=deque([SimpleNamespace(message=SimpleNamespace(tp=BUSY))]))
    app = SimpleNamespace(rebalancing=False, in_recovery=False)

    def steps(tp: TP) -> int:
        return report(app, consumer, {BUSY.topic: "fold"}).progress[tp.topic, tp.partition].steps

    before = steps(BUSY)
    consumer.steps[other] += 1
    assert steps(BUSY) > before, "it waits, and the processor goes on with another one"
    consumer.app.queues["fold"]._queue.clear()
    before = steps(BUSY)
    consumer.steps[other] += 1
    assert steps(BUSY) == before, "it does not wait, so it is itself what must go on"


def reader() -> Any:
    """A consumer whose client fetches nothing, and records the partitions that it is asked for."""
    consumer: Any = BatchConsumer.__new__(BatchConsumer)
    consumer._progress = defaultdict(PartitionProgress)
    consumer.app = SimpleNamespace(tables=SimpleNamespace(changelog_topics={CHANGELOG.topic}), queues={})
    consumer._thread = Client()
    return consumer


class Client:
    """Stands in for Kafka's client."""

    def __init__(self) -> None:
        self.asked: set[TP] = set()

    async def getmany(self, partitions: set[TP], _: float) -> dict[TP, Any]:
        self.asked = partitions
        return {}


def asked_of(consumer: Any) -> set[TP]:
    asyncio.run(consumer._getmany({BUSY, FREE, CHANGELOG}, 1.0))
    asked: set[TP] = consumer._thread.asked
    return asked

"""What a worker says of itself to its watchdog, which asks from another thread: nothing here may wait, or change anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from streams.runtime.batch_consumer import BatchConsumer
from streams.runtime.watchdog import Report, WorkProgress

#: Before the group has given it partitions, or while it gives them out anew; while tables are read from their changelogs.
JOINING: Final = "joining"
RECOVERING: Final = "recovering"
RUNNING: Final = "running"


def report(app: Any, consumer: BatchConsumer | None, stages: Mapping[str, str]) -> Report:
    """Where a Faust app stands. `stages`: the stage that works on a topic, by the topic's name in Kafka.

    A partition whose batch waits for its stage goes on as the stage does, with whichever partition: its turn comes. On a machine
    that is too busy that may take long, and ending the worker would only make it longer.
    """
    if consumer is None or consumer.held is None:
        return Report(JOINING, 0, {})
    held, queued = [tp for tp in consumer.held if tp.topic in stages], consumer.queued()
    done = Counter[str]()
    for tp in held:
        done[stages[tp.topic]] += consumer.steps[tp]
    standings = {}
    for tp in held:
        stage = stages[tp.topic]
        steps = done[stage] if tp in queued else consumer.steps[tp]
        standings[tp.topic, tp.partition] = WorkProgress(stage, steps, consumer.oldest(tp))
    if app.rebalancing:
        return Report(JOINING, app.rebalancing_count, standings)
    if app.in_recovery:
        return Report(
            RECOVERING, sum(offset or 0 for offset in list(app.tables.recovery.active_offsets.values())), standings
        )
    return Report(RUNNING if consumer.flow_active else RECOVERING, 0, standings)

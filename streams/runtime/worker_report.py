"""The worker's report to its watchdog: its phase, and the progress of each partition.

`streams.runtime.watchdog` decides from it whether the worker is ready (/readyz) or stuck. The watchdog calls `report` from its
own thread, so nothing here may wait or change anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from streams.runtime.batch_consumer import BatchConsumer
from streams.runtime.watchdog import Report, WorkProgress

#: The group assigns partitions; tables are recovered from their changelogs; batches are processed.
JOINING: Final = "joining"
RECOVERING: Final = "recovering"
RUNNING: Final = "running"


def report(app: Any, consumer: BatchConsumer | None, processors: Mapping[str, str]) -> Report:
    """The progress of a Faust app. `processors`: the name of the processor by topic, as the topic is named in Kafka.

    A partition whose batch waits in a queue goes on as its processor does, with whichever partition: its turn comes. On a busy
    machine that may take long, and ending the worker would make it longer.
    """
    if consumer is None or consumer.assigned is None:
        return Report(JOINING, 0, {})
    assigned, queued = [tp for tp in consumer.assigned if tp.topic in processors], consumer.queued()
    steps_of = Counter[str]()
    for tp in assigned:
        steps_of[processors[tp.topic]] += consumer.steps[tp]
    progress = {}
    for tp in assigned:
        processor = processors[tp.topic]
        steps = steps_of[processor] if tp in queued else consumer.steps[tp]
        progress[tp.topic, tp.partition] = WorkProgress(processor, steps, consumer.oldest_timestamp(tp))
    if app.rebalancing:
        return Report(JOINING, app.rebalancing_count, progress)
    if app.in_recovery:
        recovered = sum(offset or 0 for offset in list(app.tables.recovery.active_offsets.values()))
        return Report(RECOVERING, recovered, progress)
    return Report(RUNNING if consumer.flow_active else RECOVERING, 0, progress)

"""How long messages took from Kafka into ClickHouse."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas import metrics

BUCKETS_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class VisibleLatency(Collector):
    """A histogram by topic that observes a whole batch at once."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[list[int], float]] = {}
        self._lock = threading.Lock()

    def observe(self, topic: str, timestamps: Sequence[int], now_ms: int) -> None:
        """Messages that Kafka received at these times (ms) are visible now. A future time counts as now."""
        with self._lock:
            counts, total = self._counts.get(topic, ([0] * (len(BUCKETS_SECONDS) + 1), 0.0))
            ages = sorted(max(0, now_ms - timestamp) for timestamp in timestamps)
            for i, bound in enumerate(BUCKETS_SECONDS):
                counts[i] += bisect_right(ages, bound * 1000)
            counts[-1] += len(ages)
            self._counts[topic] = (counts, total + sum(ages) / 1000)

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(*metrics.VISIBLE_SECONDS[:2], labels=metrics.VISIBLE_SECONDS.labels)
        with self._lock:
            for topic, (counts, total) in self._counts.items():
                bounds = [*map(str, BUCKETS_SECONDS), "+Inf"]
                family.add_metric([topic], list(zip(bounds, map(float, counts), strict=True)), total)
        yield family


VISIBLE_LATENCY: Final = VisibleLatency()
metrics.SINK.register(VISIBLE_LATENCY)

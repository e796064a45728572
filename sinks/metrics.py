"""What the sink counts for Prometheus, each metric with what an operator should conclude from it."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

#: All of these; the process that is a sink shows them.
SINK: Final = CollectorRegistry()

BATCHES: Final = Counter(
    "firstcall_sink_batches",
    "Batches that ClickHouse has taken whole.",
    registry=SINK,
)
ROWS: Final = Counter(
    "firstcall_sink_rows",
    "Rows that ClickHouse has taken, by table. Rows that are written again after a failure count again, and change nothing.",
    ["table"],
    registry=SINK,
)
REFUSED: Final = Counter(
    "firstcall_sink_refused_rows",
    "Rows that ClickHouse can never take, by the table they were for. They lie in `dead_letters` with reason row_refused; the rest "
    "of their batch was written. Any is a fault: of a producer, or tables that are older than the worker.",
    ["table"],
    registry=SINK,
)
RETRIES: Final = Counter(
    "firstcall_sink_retries",
    "Writes that ClickHouse did not take and that were tried again. Some while it restarts; many mean that it is overloaded, full "
    "or away: the sink's log names the error.",
    registry=SINK,
)
WRITE_SECONDS: Final = Histogram(
    "firstcall_sink_write_seconds",
    "Time of one batch in ClickHouse, retries not counted. It grows with the size of batches; above the time between batches the sink falls behind.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
    registry=SINK,
)
AWAY: Final = Gauge(
    "firstcall_clickhouse_away_seconds",
    "Since when ClickHouse has taken nothing though there are rows for it; 0 while it does. Nothing is lost: they wait in Kafka.",
    registry=SINK,
)
SETTLE_SECONDS: Final = Histogram(
    "firstcall_settle_seconds",
    "Time of one settlement of what was written (copies of events, counts by day). The next one waits nine times as long, so "
    "`usage` is that much behind.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
    registry=SINK,
)
SETTLED: Final = Gauge(
    "firstcall_settled_timestamp_seconds",
    "When the last settlement ended well, or the sink started, in seconds since 1970. Old: `usage` lags; at log level debug the sink says why.",
    registry=SINK,
)
DISAGREEING: Final = Gauge(
    "firstcall_disagreeing_copies",
    "Events written in the last minutes of which copies disagree in more than their times: a fault of their producer. Counts of events "
    "count each copy; `firstcall query disagreeing-copies` shows whose they are.",
    registry=SINK,
)

VISIBLE_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Visible(Collector):
    """How long messages took from Kafka into ClickHouse: a histogram that takes a whole batch at once."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[list[int], float]] = {}
        self._lock = threading.Lock()

    def observe(self, topic: str, timestamps: Sequence[int], now_ms: int) -> None:
        """Messages that Kafka got at these times (ms) are visible now. A time to come counts as now."""
        with self._lock:
            counts, total = self._counts.get(topic, ([0] * (len(VISIBLE_SECONDS) + 1), 0.0))
            ages = sorted(max(0, now_ms - timestamp) for timestamp in timestamps)
            for i, bound in enumerate(VISIBLE_SECONDS):
                counts[i] += bisect_right(ages, bound * 1000)
            counts[-1] += len(ages)
            self._counts[topic] = (counts, total + sum(ages) / 1000)

    def collect(self) -> Iterator[Metric]:
        """What was observed, for Prometheus."""
        family = HistogramMetricFamily(
            "firstcall_visible_seconds",
            "From when Kafka had a message until its row is visible in ClickHouse, retries and waiting included. Of an input topic: from "
            "receiving an event until it can be queried. Of a row topic: the last part of the way of numbers, after the worker. A replay "
            "of messages with old timestamps shows their age.",
            labels=["topic"],
        )
        with self._lock:
            for topic, (counts, total) in self._counts.items():
                bounds = [*map(str, VISIBLE_SECONDS), "+Inf"]
                family.add_metric([topic], list(zip(bounds, map(float, counts), strict=True)), total)
        yield family


VISIBLE: Final = Visible()
SINK.register(VISIBLE)

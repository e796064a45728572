"""Every metric of every process, and what an operator should conclude from it.

The metrics of each role have a registry. A process registers those of its roles with `prometheus_client.REGISTRY`, and
exposes only these. Labels are processors, topics, tables,
partitions, channels and fixed words: the deployment bounds their number, never the input. Counters get the suffix `_total`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info


class Family(NamedTuple):
    """A metric that a collector computes when it is scraped."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()


# Every process: `streams.runtime.watchdog`.

BUILD: Final = Info(
    "firstcall_build",
    "Version and role of the process. Different versions at the same time: a deploy is under way, or stopped half way.",
)
READY: Final = Family("firstcall_ready", "1 while the process does its work, else 0; /readyz lists the reasons.")
PARTITIONS: Final = Family(
    "firstcall_partitions",
    "Partitions that this process has, over all topics. 0 for long: there are more processes than partitions.",
)
KAFKA_SILENT: Final = Family(
    "firstcall_kafka_silent_seconds",
    "Time since the brokers last answered. Nothing is lost meanwhile; events wait in Kafka or at their producers.",
)
LAG_EVENTS: Final = Family(
    "firstcall_lag_events",
    "Messages of a partition that are not processed and committed yet. It grows while messages are read: more workers "
    "are needed. It grows and nothing is read: see firstcall_stalled_seconds.",
    ("processor", "topic", "partition"),
)
LAG_SECONDS: Final = Family(
    "firstcall_lag_seconds",
    "Age of the oldest message of a partition that is not processed, since Kafka received it; 0 without a lag. "
    "The numbers are at least so old.",
    ("processor", "topic", "partition"),
)
STALLED: Final = Family(
    "firstcall_stalled_seconds",
    "Time since a partition with a lag last made progress. The process ends itself after 45 seconds; higher values mean that "
    "it cannot.",
    ("processor", "topic", "partition"),
)

# Processes that read events: worker and sink.

READER: Final = CollectorRegistry()

REBALANCES: Final = Counter(
    "firstcall_rebalances",
    "Times the consumer group assigned the partitions of this process again. A few at a start or a deploy; many in an hour mean "
    "members that come and go, and each stops all members of the group for seconds.",
    registry=READER,
)
SUPPRESSION_LIST_AGE: Final = Gauge(
    "firstcall_suppression_list_age_seconds",
    "Age of the suppression list (who was erased). It is read before each batch, and no event is processed without it: above a few "
    "seconds with a lag above 0 the brokers do not answer, without a lag no event comes.",
    registry=READER,
)

# The worker.

WORKER: Final = CollectorRegistry()

MESSAGES_READ: Final = Counter(
    "firstcall_messages_read",
    "Messages that a processor has processed, with all effects durable. No increase while its lag is above 0: "
    "it is stuck. After a crash the last batch counts twice.",
    ["processor", "topic"],
    registry=WORKER,
)
MESSAGES_SENT: Final = Counter(
    "firstcall_messages_sent",
    "Messages that the brokers have acknowledged, by the topic they were written to; changelogs are topics too.",
    ["topic"],
    registry=WORKER,
)
BATCHES: Final = Histogram(
    "firstcall_batch_seconds",
    "Time of a batch in a processor, until all effects are durable; its count is the number of batches. Long times at a low "
    "processor load mean that the brokers acknowledge slowly.",
    ["processor"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=WORKER,
)
DEAD_LETTERS: Final = Counter(
    "firstcall_dead_letters",
    "Messages of the input topics, or parts of them, that are no events, by reason. A producer sends them: "
    "`firstcall query dead-letters` names topic, partition, offset and field. Counted again when read again.",
    ["reason"],
    registry=WORKER,
)
IGNORED_VALUES: Final = Counter(
    "firstcall_ignored_values",
    "Values of events that were ignored while the event was accepted, by field and reason: an unknown environment, a broken second "
    "time, what a program wrote for nothing. Many of one field: its producer has a fault. Counted again when read again.",
    ["field", "reason"],
    registry=WORKER,
)
STATE_ROWS: Final = Gauge(
    "firstcall_state_rows",
    "Rows of a table in this worker's partitions, as RocksDB estimates them. They grow with the number of developers, keys and "
    "companies, not with time.",
    ["table"],
    registry=WORKER,
)
STATE_BYTES: Final = Gauge(
    "firstcall_state_bytes",
    "Size of a table's files and write buffers in this worker. Its disk must hold about twice as much.",
    ["table"],
    registry=WORKER,
)

# The sink.

SINK: Final = CollectorRegistry()

SINK_BATCHES: Final = Counter(
    "firstcall_sink_batches",
    "Batches that were written to ClickHouse completely.",
    registry=SINK,
)
SINK_ROWS: Final = Counter(
    "firstcall_sink_rows",
    "Rows that were written to ClickHouse, by table. Rows that are written again after a failure count again, and change nothing.",
    ["table"],
    registry=SINK,
)
SINK_REFUSED_ROWS: Final = Counter(
    "firstcall_sink_refused_rows",
    "Rows that ClickHouse can never accept, by the table they were for. They are in `dead_letters` with reason row_refused; the rest "
    "of their batch was written. Any is a fault: of a producer, or tables that are older than the worker.",
    ["table"],
    registry=SINK,
)
SINK_RETRIES: Final = Counter(
    "firstcall_sink_retries",
    "Writes that failed and were tried again. Some while ClickHouse restarts; many mean that it is overloaded, full "
    "or unavailable: the sink's log has the error.",
    registry=SINK,
)
SINK_WRITE_SECONDS: Final = Histogram(
    "firstcall_sink_write_seconds",
    "Time to write one batch to ClickHouse, without retries. It grows with the size of batches; above the time between batches the "
    "sink falls behind.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
    registry=SINK,
)
CLICKHOUSE_UNAVAILABLE: Final = Gauge(
    "firstcall_clickhouse_unavailable_seconds",
    "Time for which ClickHouse has accepted no rows though some wait; 0 while it does. Nothing is lost: they wait in Kafka.",
    registry=SINK,
)
VISIBLE_SECONDS: Final = Family(
    "firstcall_visible_seconds",
    "From when Kafka had a message until its row is visible in ClickHouse, retries and waiting included. Of an input topic: from "
    "receiving an event until it can be queried. Of a row topic: the last part of the way of numbers, after the worker. An import "
    "of messages with old timestamps shows their age.",
    ("topic",),
)
RECONCILE_SECONDS: Final = Histogram(
    "firstcall_reconcile_seconds",
    "Time to reconcile copies of events and counts by day with the rows that were written. The next run waits nine times as long, so "
    "`usage` is that much behind.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
    registry=SINK,
)
RECONCILED: Final = Gauge(
    "firstcall_reconciled_timestamp_seconds",
    "When ClickHouse was last reconciled, or the sink started, in seconds since 1970. Old: `usage` lags; at log level debug the sink "
    "logs the error.",
    registry=SINK,
)
DISAGREEING_COPIES: Final = Gauge(
    "firstcall_disagreeing_copies",
    "Events written in the last minutes of which copies disagree in more than their times: a fault of their producer. Counts of events "
    "count each copy; `firstcall query disagreeing-copies` shows whose they are.",
    registry=SINK,
)

# `firstcall alerts`.

ALERTS: Final = CollectorRegistry()

ALERT_DELIVERIES: Final = Counter(
    "firstcall_alert_deliveries",
    "Attempts to deliver an alert, by channel and outcome (delivered, failed). A failed one is tried again until it is delivered: "
    "failures that go on mean that nobody receives alerts through this channel; the log has the receiver's answer.",
    ["channel", "outcome"],
    registry=ALERTS,
)
ALERTS_PENDING: Final = Gauge(
    "firstcall_alerts_pending",
    "Alerts that a channel has still to deliver. Above 0 for more than minutes: its receiver is unavailable or refuses.",
    ["channel"],
    registry=ALERTS,
)
MONITORS_EVALUATED: Final = Gauge(
    "firstcall_monitors_evaluated_timestamp_seconds",
    "When all monitors were last evaluated, or the process started, in seconds since 1970. They are evaluated every minute: an old "
    "time means that a drop now would raise no alert.",
    registry=ALERTS,
)
EVALUATIONS_FAILED: Final = Counter(
    "firstcall_monitor_evaluations_failed",
    "Evaluations of a monitor that failed in ClickHouse; the log has the monitor and the error.",
    registry=ALERTS,
)

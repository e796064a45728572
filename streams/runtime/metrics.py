"""What the streams count for Prometheus, each metric with what an operator should conclude from it.

How far behind a process is, and whether it is ready, is counted in `streams.runtime.watchdog`; the sink's in `sinks.metrics`. Labels
are stages, topics, tables, partitions and fixed words: their number is bounded by the deployment, never by what comes in.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: All of these; the process that is a worker shows them.
WORKER: Final = CollectorRegistry()
#: Those that whoever reads events shows.
READER: Final = CollectorRegistry()

MESSAGES_READ: Final = Counter(
    "firstcall_messages_read",
    "Messages that a stage has worked on, with all that follows from them durable. None for long while its lag is above 0: "
    "it is stuck. After a crash the last batch counts twice.",
    ["stage", "topic"],
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
    "Time of a batch in a stage, from taking it to everything durable; its count is the number of batches. Long times at a low "
    "processor load mean that the brokers acknowledge slowly.",
    ["stage"],
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
REBALANCES: Final = Counter(
    "firstcall_rebalances",
    "Times this process' partitions were given out anew. A few at a start or a deploy; many in an hour mean members that come "
    "and go, and each stops all members of the group for seconds.",
    registry=READER,
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
MARKS_AGE: Final = Gauge(
    "firstcall_erasure_marks_age_seconds",
    "Since when it is not known anew who was erased. It is asked before each batch, and nothing is taken in while it is not known: "
    "above a few seconds with a lag above 0 the brokers do not answer, without a lag nothing comes.",
    registry=READER,
)

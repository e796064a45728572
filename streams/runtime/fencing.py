"""Keeps the late writes of a worker that lost its partitions out of the state. `lease.py` stops such a worker before it writes.

Kafka fences no plain producer. A worker that was suspended or cut off may write to a changelog after its partitions went to
another worker, behind newer changes of the same rows. Two rules keep these records out of the numbers:

- Each change carries a version: the end of its batch in the processor's input. Batches go forward, so a record with a lower
  version than an earlier record is late. Recovery skips it, and the next batch writes the row again, since compaction would
  keep the late record.
- A worker's own records must be contiguous in the changelog. If another record lies between them, two workers write. The worker
  stops before it writes its local rows, whose offset would cover the other's records, and recovers them at its next start.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from schemas.errors import FencedError

VERSION_HEADER: Final = "version"


class Written(NamedTuple):
    """Records that the brokers acknowledged in one partition: the first and last offset, and how many they are."""

    first: int
    last: int
    records: int


class WriterFence:
    """The end of each changelog, as its only writer knows it."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, int], int] = {}

    def follow(self, topic: str, partition: int, recovered_to: int, written: Written) -> None:
        """Advance the end by records that were written. Raises FencedError if they do not continue it.

        `recovered_to`: the last offset of the changelog at the last recovery. It may precede this worker's own last record.
        """
        start = max(self._ends.get((topic, partition), 0), recovered_to + 1)
        self._ends[topic, partition] = written.last + 1
        if written.last + 1 != start + written.records:
            raise FencedError(
                f"another worker has written to {topic}/{partition}: {written.records} records from {start} on were expected to end "
                f"before {start + written.records}, and lie from {written.first} to {written.last}. This worker was suspended, or cut "
                "off from the brokers, and its partitions went to another one, or that happened to the other one; start it again"
            )


def header(version: int) -> list[tuple[str, str | bytes | None]]:
    return [(VERSION_HEADER, version.to_bytes(8, "big"))]


def version_of(headers: Iterable[tuple[str, bytes]]) -> int:
    """The version of a record, -1 if it has none."""
    for name, value in headers:
        if name == VERSION_HEADER:
            return int.from_bytes(value, "big")
    return -1

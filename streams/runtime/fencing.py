"""Who has the say over a changelog, when a worker that was cut off or stood still has been given up but still writes.

Kafka fences no plain producer: what a worker had in hand when its partitions went to another one may reach the changelog
at any time later, behind newer changes of the same rows. Two things keep it out of the numbers:

- Each change carries its version, the end of its batch in the log that the stage reads. Batches go forward, so a record with
  a version before that of an earlier record came too late; recovery leaves it out, and the next batch writes the row again,
  since compaction would keep the late one.
- A worker's own records must follow each other in the changelog. If anything lies between them, two workers write: it stops before
  it writes its own rows, whose offset would cover what it has not seen, and learns at its next start what the other one wrote.
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
    """Where the changelog of each partition ends, as its one writer knows it."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, int], int] = {}

    def follow(self, topic: str, partition: int, recovered_to: int, written: Written) -> None:
        """Take note of records that were written. Raises FencedError if they do not follow what this worker knows.

        `recovered_to`: the last offset that the changelog had when recovery read it for the last time, which may be before
        this worker's own last record.
        """
        start = max(self._ends.get((topic, partition), 0), recovered_to + 1)
        self._ends[topic, partition] = written.last + 1
        if written.last + 1 != start + written.records:
            raise FencedError(
                f"another worker has written to {topic}/{partition}: {written.records} records from {start} on were expected to end "
                f"before {start + written.records}, and lie from {written.first} to {written.last}. This worker stood still, or was cut "
                "off from the brokers, and its partitions went to another one, or that happened to the other one; start it again"
            )


def header(version: int) -> list[tuple[str, str | bytes | None]]:
    """The headers of a change of that version."""
    return [(VERSION_HEADER, version.to_bytes(8, "big"))]


def version_of(headers: Iterable[tuple[str, bytes]]) -> int:
    """The version of a record, -1 if it has none."""
    for name, value in headers:
        if name == VERSION_HEADER:
            return int.from_bytes(value, "big")
    return -1

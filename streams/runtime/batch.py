"""Consecutive records of one partition, which travel to a processor together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from faust.types import TP


class Batch(msgspec.Struct, frozen=True):
    """Consecutive records of one partition: they cover the offsets from `start` to before `end`.

    `start` may lie before the first record, where the log has holes (compaction, transaction markers).
    """

    tp: TP
    start: int
    end: int
    records: Sequence[Any]


def batches(tp: TP, position: int | None, fetched: Sequence[Any], size: int) -> Iterator[Batch]:
    """What was fetched from `position` on, in batches of at most `size` records that leave no offset out."""
    if position is not None and fetched[0].offset < position:
        fetched = [record for record in fetched if record.offset >= position]
    for i in range(0, len(fetched), size):
        records = fetched[i : i + size]
        start = records[0].offset if position is None else position
        position = records[-1].offset + 1
        yield Batch(tp, start, position, records)

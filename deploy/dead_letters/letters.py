"""The dead letters in ClickHouse: found by filters, and marked as replayed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final, Literal, NamedTuple

import orjson
from clickhouse_connect.driver import Client

from deploy.queries.catalog import Answer
from sinks.clickhouse import Address, connect, named_errors
from sinks.insert import RowInserter
from streams.normalise.clock import text

#: Messages that one query reads.
PAGE_MESSAGES: Final = 1_000

#: What of a message is replayed: the message itself, or the rows that ClickHouse refused of it.
What = Literal["message", "rows"]

_BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = datetime(2200, 1, 1, tzinfo=UTC)


class MessageRef(NamedTuple):
    """Topic, with the deployment's prefix, partition and offset of a message."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, given: str) -> MessageRef:
        """Read `topic/partition/offset`. Raises ValueError."""
        topic, partition, offset = given.rsplit("/", 2)
        if not (topic and partition.removeprefix("-").isdecimal() and offset.removeprefix("-").isdecimal()):
            raise ValueError(given)
        return cls(topic, int(partition), int(offset))


@dataclass(frozen=True)
class Filter:
    """Which dead letters. Nothing given matches all; `since` and `until` by when the message was written."""

    reasons: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    refs: tuple[MessageRef, ...] = ()
    since: datetime = _BEGIN
    until: datetime = _END

    def values(self) -> dict[str, Any]:
        return {
            "reasons": list(self.reasons),
            "topics": list(self.topics),
            "ids": [str(ref) for ref in self.refs],
            "since": self.since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
            "until": self.until.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        }


class Refused(NamedTuple):
    """A message with dead letters that were not replayed. `calls`: the refused calls of its batch that have their own."""

    ref: MessageRef
    what: What
    calls: frozenset[int]


class Letters:
    """The dead letters of a deployment. All methods raise ClickHouseError."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client: Client = connect(address)
        self._writer = RowInserter(address)

    def close(self) -> None:
        self._client.close()
        self._writer.close()

    def latest(self, wanted: Filter, limit: int, *, replayed: bool) -> Answer:
        return self._ask("letters", wanted.values() | {"limit": limit, "replayed": replayed})

    def refused(self, wanted: Filter, limit: int | None) -> Iterator[list[Refused]]:
        """The refused messages, page by page, ordered by topic, partition, offset and what of them is replayed."""
        last: tuple[Any, ...] = ("", -1, -1, "")
        left = limit
        while left is None or left > 0:
            size = PAGE_MESSAGES if left is None else min(left, PAGE_MESSAGES)
            names = ("after_topic", "after_partition", "after_offset", "after_what")
            values = wanted.values() | dict(zip(names, last, strict=True)) | {"limit": size}
            found = self._ask("messages", values).rows
            if found:
                yield [
                    Refused(MessageRef(topic, partition, offset), what, frozenset(calls))
                    for topic, partition, offset, what, calls in found
                ]
            if len(found) < size:
                return
            last = found[-1][:4]
            left = None if left is None else left - size

    def mark_replayed(self, replayed: Iterable[tuple[MessageRef, What, int]], at_ms: int) -> None:
        """Mark messages as replayed: (message, what of it, its new offset)."""
        rows = [
            orjson.dumps(ref._asdict() | {"what": what, "replayed_at": text(at_ms), "new_offset": new_offset})
            for ref, what, new_offset in replayed
        ]
        refused = self._writer.write("dead_letter_replay_rows", rows)
        assert not refused, f"a mark is refused: {refused[0].detail}"

    def _ask(self, name: str, values: dict[str, Any]) -> Answer:
        sql = files("deploy.dead_letters").joinpath("sql", f"{name}.sql").read_text("utf-8")
        with named_errors(self._address):
            result = self._client.query(sql, parameters=values)
        return Answer(tuple(result.column_names), tuple(tuple(row) for row in result.result_rows))

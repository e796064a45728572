"""Faust tables whose rows are written by batches: RocksDB per partition, rebuilt from the changelog by Faust.

The batch writes the changelog itself and waits for it, then writes here with the changelog's offset in the same write:
what is here is never ahead of the changelog, so losing the last writes (there is no write-ahead log) costs only a
longer recovery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, cast

import faust
import rocksdict
from faust.stores import rocksdb
from faust.types import TP, EventT
from yarl import URL

from streams.transport import Batch

_OFFSET_KEY = rocksdb.Store.offset_key

#: Options of every partition's database; the defaults of Faust set aside 2 GiB of cache for each of them.
_OPTIONS = {
    "block_cache_size": 64 * 1024**2,
    "write_buffer_size": 32 * 1024**2,
    "max_write_buffer_number": 2,
    "bloom_filter_size": 10,
}
#: Properties of a database: its rows, then what makes up its size.
_SIZES = ("estimate-num-keys", "total-sst-files-size", "cur-size-all-mem-tables")


class Size(NamedTuple):
    """How much a table holds, as RocksDB estimates it. `bytes`: of files and write buffers."""

    rows: int
    bytes: int


class PartitionRows:
    """The rows of one partition of a table."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self._options = rocksdict.WriteOptions()
        self._options.disable_wal = True  # type: ignore[assignment, method-assign] # a property; the stubs say method

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""
        return cast("bytes | None", self._db.get(key))

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows whose keys begin with `prefix`, in order."""
        rows = self._db.iter()
        rows.seek(prefix)
        while rows.valid():
            key = rows.key()
            if not key.startswith(prefix):
                return
            yield key, rows.value()
            rows.next()

    def write(self, changes: Iterable[tuple[bytes, bytes | None]], offset: int) -> None:
        """Apply changes that stand in the changelog up to `offset`, at once."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(_OFFSET_KEY, str(offset).encode())
        self._db.write(batch, self._options)

    def size(self) -> Size:
        """How much is in it."""
        counted = [self._db.property_int_value(f"rocksdb.{name}") or 0 for name in _SIZES]
        return Size(counted[0], sum(counted[1:]))


class RowStore(rocksdb.Store):
    """Faust's RocksDB store, giving out partitions, and applying changelogs that arrive in batches."""

    def partition(self, number: int) -> PartitionRows:
        """The rows of one partition that this worker has."""
        return PartitionRows(self._db_for_partition(number))

    def size(self) -> Size:
        """How much is in the partitions that this worker has. Only for the thread that opens and closes them."""
        sizes = [PartitionRows(db).size() for db in self._dbs.values()]
        return Size(sum(size.rows for size in sizes), sum(size.bytes for size in sizes))

    def apply_changelog_batch(
        self, batch: Iterable[EventT[Any]], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Write what recovery read. The keys and values are bytes, so neither callable is needed."""
        del to_key, to_value
        for event in batch:
            delivered = cast("Batch", event.message.value)
            changes = ((record.key, record.value) for record in delivered.records)
            self.partition(delivered.tp.partition).write(changes, delivered.end - 1)


class RowTable(faust.Table):  # type: ignore[type-arg]
    """A table of byte rows in a `RowStore`."""

    def _new_store_by_url(self, url: str | URL) -> RowStore:
        return RowStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            value_type=self.value_type,
            options=dict(_OPTIONS),
        )

    def partition(self, number: int) -> PartitionRows:
        """The rows of one partition that this worker has."""
        return cast("RowStore", self.data).partition(number)

    def size(self) -> Size:
        """How much is in the partitions that this worker has."""
        return cast("RowStore", self.data).size()

    def changelog(self, partition: int) -> TP:
        """Where the changes of a partition are written."""
        return TP(self.changelog_topic_name, partition)

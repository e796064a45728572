"""Faust tables whose rows are written by batches: one RocksDB database per partition, recovered from the changelog by Faust.

`streams.runtime.commit_order` writes the changelog first, and waits for the brokers. Then it writes the rows here, and the changelog's
offset in the same write. So the rows are never ahead of the changelog. There is no write-ahead log: losing the last writes
makes recovery longer, and nothing else.

RocksDB's checksums find damage by the disk. The worker logs it and stops; at its next start the partition is deleted and recovered
from the changelog. `streams.runtime.fencing` describes late records in a changelog.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import faust
import rocksdict
import structlog
from faust.stores import rocksdb
from faust.types import TP, EventT
from yarl import URL

from schemas.errors import StateError
from streams.runtime.batch import Batch
from streams.runtime.fencing import version_of

_OFFSET_KEY = rocksdb.Store.offset_key
#: The version of the latest change in the database.
_VERSION_KEY: Final = b"__firstcall\0version__"
#: Prefix of the keys whose last record in the changelog came from a fenced worker, and is older than the row in the database.
_OVERWRITTEN: Final = b"__firstcall\0overwritten__"

#: A database that no worker had open for so long is deleted. Kafka drops deletions a day after it compacted them
#: (delete.retention.ms), so an older database may hold deleted rows. Half a day allows for clocks that differ.
MAX_UNUSED_SECONDS: Final = 43_200.0

#: Memory of all databases of the process together: blocks, indexes and filters of files, and write buffers, which have a limit within it.
#: One limit for all bounds the process; a limit per partition would grow with their number.
_MEMORY_BYTES: Final = 512 * 1024**2
_WRITE_BUFFERS_BYTES: Final = 192 * 1024**2

_CACHE: Final = rocksdict.Cache(_MEMORY_BYTES)
WRITE_BUFFERS: Final = rocksdict.WriteBufferManager.new_write_buffer_manager_with_cache(
    _WRITE_BUFFERS_BYTES,
    False,  # writers need not wait: little is being flushed at any time
    _CACHE,
)
#: Of one database: one write buffer, of which it may have two, and the bits of a filter for each row.
_WRITE_BUFFER_BYTES: Final = 32 * 1024**2
_BLOOM_BITS: Final = 10
#: Of one database: RocksDB's own log files, which would otherwise grow without limit.
_LOG_BYTES: Final = 1024**2
_LOG_FILES: Final = 2

#: Properties of a database: its rows, then the parts of its size.
_SIZES = ("estimate-num-keys", "total-sst-files-size", "cur-size-all-mem-tables")


class Size(NamedTuple):
    """Rows and bytes of a table, as RocksDB estimates them. `bytes`: of files and write buffers."""

    rows: int
    bytes: int


log = structlog.get_logger("firstcall.streams")


class PartitionRows:
    """The rows of one partition of a table. `path`: the database's folder."""

    def __init__(self, db: Any, path: Path) -> None:
        self._db = db
        self._path = path
        self._options = rocksdict.WriteOptions()
        self._options.disable_wal = True  # type: ignore[assignment, method-assign] # a property; a method in the stubs

    def get(self, key: bytes) -> bytes | None:
        """The row, or None. Raises StateError."""
        try:
            return cast("bytes | None", self._db.get(key))
        except Exception as error:
            raise self._named(error) from error

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The rows whose keys begin with `prefix`, in order. Raises StateError."""
        rows = self._db.iter()
        rows.seek(prefix)
        while rows.valid():
            key = rows.key()
            if not key.startswith(prefix):
                return
            yield key, rows.value()
            rows.next()
        try:
            # An unreadable row ends an iteration without an error.
            rows.status()
        except Exception as error:
            raise self._named(error) from error

    def write(self, changes: Iterable[tuple[bytes, bytes | None]], offset: int, version: int) -> None:
        """Apply changes of a version in one write. They are in the changelog up to `offset`. Raises StateError."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in changes:
            _put(batch, key, value)
        self._write(batch, offset, version)

    def overwritten(self) -> list[bytes]:
        """The keys whose last record in the changelog is older than the row here, until `clear_overwritten`."""
        return [key.removeprefix(_OVERWRITTEN) for key, _ in self.scan(_OVERWRITTEN)]

    def clear_overwritten(self, keys: Iterable[bytes]) -> None:
        """The changelog has the rows of these keys again."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key in keys:
            batch.delete(_OVERWRITTEN + key)
        self._db.write(batch, self._options)

    def size(self) -> Size:
        counted = [self._db.property_int_value(f"rocksdb.{name}") or 0 for name in _SIZES]
        return Size(counted[0], sum(counted[1:]))

    def recover(self, batch: Batch) -> int:
        """Apply records of the changelog, except those of a fenced worker. The number of the latter. Raises StateError."""
        changes = rocksdict.WriteBatch(raw_mode=True)
        known = self.get(_VERSION_KEY)
        version, too_late = -1 if known is None else int(known), 0
        for record in batch.records:
            record_version = version_of(record.headers)
            if record_version < version:
                changes.put(_OVERWRITTEN + record.key, b"")
                too_late += 1
                continue
            version = record_version
            changes.delete(_OVERWRITTEN + record.key)
            _put(changes, record.key, record.value)
        self._write(changes, batch.end - 1, version)
        return too_late

    def _write(self, batch: Any, offset: int, version: int) -> None:
        batch.put(_OFFSET_KEY, str(offset).encode())
        batch.put(_VERSION_KEY, str(version).encode())
        try:
            self._db.write(batch, self._options)
        except Exception as error:
            raise self._named(error) from error

    def _named(self, error: Exception) -> Exception:
        """The error as a StateError if it is damage. The next start deletes all tables on the disk: a marker file requests it."""
        if not _is_damage(error):
            return error
        for path in self._path.parent.glob("*.db"):
            _damage_marker(path).touch()
        return StateError(f"{self._path}: {error}")


class StateOptions(rocksdb.RocksDBOptions):
    """Options of every partition's database. All share the memory for state of the process."""

    write_buffer_size = _WRITE_BUFFER_BYTES
    max_write_buffer_number = 2

    def as_options(self) -> Any:
        options = super().as_options()
        options.set_write_buffer_manager(WRITE_BUFFERS)
        options.set_max_log_file_size(_LOG_BYTES)
        options.set_keep_log_file_num(_LOG_FILES)
        options.set_stats_dump_period_sec(0)
        files = rocksdict.BlockBasedOptions()
        files.set_block_cache(_CACHE)
        # Otherwise they grow with the state, outside of the cache.
        files.set_cache_index_and_filter_blocks(True)
        files.set_pin_l0_filter_and_index_blocks_in_cache(True)
        files.set_bloom_filter(_BLOOM_BITS, False)  # of whole files, not of blocks
        options.set_block_based_table_factory(files)
        return options


class RowStore(rocksdb.Store):
    """Faust's RocksDB store, with access by partition, and recovery in batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rocksdb_options = StateOptions()

    def partition(self, number: int) -> PartitionRows:
        return PartitionRows(self._db_for_partition(number), self.partition_path(number))

    def open_partitions(self) -> list[PartitionRows]:
        """The rows of this worker's partitions. Only for the thread that opens and closes them."""
        return [PartitionRows(db, self.partition_path(number)) for number, db in self._dbs.items()]

    def persisted_offset(self, tp: TP) -> int | None:
        """The last offset of the changelog that is in the database."""
        offset = self.partition(tp.partition).get(_OFFSET_KEY)
        return None if offset is None else int(offset)

    async def stop(self) -> None:
        """Flush memory to the disk, so that the next start need not read it from the changelog."""
        for partition, db in self._dbs.items():
            try:
                db.flush()
            except Exception as error:  # noqa: BLE001 - RocksDB has one error class; what is not on the disk is in the changelog
                log.warning("state_not_flushed", path=str(self.partition_path(partition)), error=str(error))
        await super().stop()

    def size(self) -> Size:
        """The size of this worker's partitions. Only for the thread that opens and closes them."""
        sizes = [rows.size() for rows in self.open_partitions()]
        return Size(sum(size.rows for size in sizes), sum(size.bytes for size in sizes))

    def apply_changelog_batch(
        self, batch: Iterable[EventT[Any]], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Apply what recovery read. Keys and values are bytes, so neither callable is needed."""
        del to_key, to_value
        for event in batch:
            delivered = cast("Batch", event.message.value)
            try:
                too_late = self.partition(delivered.tp.partition).recover(delivered)
            except Exception as error:
                # Faust would log it and wait without end.
                self._crashing = asyncio.ensure_future(self.app.crash(error))
                raise
            if too_late:
                log.warning("records_too_late", changelog=str(delivered.tp), records=too_late)

    def _open_for_partition(self, partition: int) -> Any:
        path = self.partition_path(partition)
        if _damage_marker(path).exists():
            self._start_over(
                path, "state_damaged", "it, or another table on this disk, could not be read when the worker ran last"
            )
        elif _is_too_old(path):
            self._start_over(path, "state_too_old", "it may hold rows that were deleted since")
        try:
            return super()._open_for_partition(partition)
        except Exception as error:
            if not _is_damage(error):
                raise
            self._start_over(path, "state_damaged", str(error))
            return super()._open_for_partition(partition)

    def _start_over(self, path: Path, event: str, reason: str) -> None:
        """Delete the rows of a partition: they are recovered from the changelog."""
        log.warning(event, path=str(path), reason=reason, action="recovered from the changelog")
        shutil.rmtree(path, ignore_errors=True)
        _damage_marker(path).unlink(missing_ok=True)


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
        )

    @property
    def store(self) -> RowStore:
        return cast("RowStore", self.data)

    def changelog(self, partition: int) -> TP:
        return TP(self.changelog_topic_name, partition)


def _put(batch: Any, key: bytes, value: bytes | None) -> None:
    if value is None:
        batch.delete(key)
    else:
        batch.put(key, value)


def _is_damage(error: Exception) -> bool:
    """Whether an error of RocksDB, which has one class of errors, means that files are damaged."""
    text = str(error)
    return text.startswith("Corruption") or "No such file" in text


def _damage_marker(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def _is_too_old(path: Path) -> bool:
    """Whether no worker had the database open for `MAX_UNUSED_SECONDS`."""
    files = list(path.glob("*")) if path.is_dir() else []
    return bool(files) and time.time() - max(file.stat().st_mtime for file in files) > MAX_UNUSED_SECONDS

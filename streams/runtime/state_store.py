"""Faust tables whose rows are written by batches: RocksDB per partition, rebuilt from the changelog by Faust.

The batch writes the changelog itself and waits for it, then writes here with the changelog's offset in the same write:
what is here is never ahead of the changelog, so losing the last writes (there is no write-ahead log) costs only a
longer recovery.

What the disk does not give back as it was written is found by RocksDB's checksums. The worker says so and stops; at its next
start the partition is thrown away and comes from the changelog. `streams/runtime/fencing.py` says what else a changelog may hold.
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
#: The version of the latest change that is here.
_VERSION_KEY: Final = b"__firstcall\0version__"
#: Before each key that someone who was too late has written to the changelog, over the change that is here.
_OVERWRITTEN: Final = b"__firstcall\0overwritten__"

#: Kafka forgets deletions a day after it compacted them (delete.retention.ms), so rows that were not looked after for so long may
#: be deleted ones. Half of it leaves room for clocks that differ.
LOOKED_AFTER_SECONDS: Final = 43_200.0

#: What all databases of the process may hold in memory together, however many partitions they are: blocks, indexes and filters of
#: files, and write buffers, which may take so much of it. Without one limit for all, each partition had its own.
_MEMORY_BYTES: Final = 512 * 1024**2
_WRITE_BUFFERS_BYTES: Final = 192 * 1024**2

_CACHE: Final = rocksdict.Cache(_MEMORY_BYTES)
WRITE_BUFFERS: Final = rocksdict.WriteBufferManager.new_write_buffer_manager_with_cache(
    _WRITE_BUFFERS_BYTES,
    False,  # writers need not wait: what is being flushed is little, and soon gone
    _CACHE,
)
#: Of one database: a write buffer, of which it may have two, and the bits of a filter for each row.
_WRITE_BUFFER_BYTES: Final = 32 * 1024**2
_BLOOM_BITS: Final = 10
#: Of one database: what RocksDB tells of itself in files, which it would write on and on, figures of itself every ten minutes.
_LOG_BYTES: Final = 1024**2
_LOG_FILES: Final = 2

#: Properties of a database: its rows, then what makes up its size.
_SIZES = ("estimate-num-keys", "total-sst-files-size", "cur-size-all-mem-tables")


class Size(NamedTuple):
    """How much a table holds, as RocksDB estimates it. `bytes`: of files and write buffers."""

    rows: int
    bytes: int


log = structlog.get_logger("firstcall.streams")


class PartitionRows:
    """The rows of one partition of a table. `path`: where they lie."""

    def __init__(self, db: Any, path: Path) -> None:
        self._db = db
        self._path = path
        self._options = rocksdict.WriteOptions()
        self._options.disable_wal = True  # type: ignore[assignment, method-assign] # a property; the stubs say method

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
            # Rows that cannot be read end an iteration as the last row does.
            rows.status()
        except Exception as error:
            raise self._named(error) from error

    def write(self, changes: Iterable[tuple[bytes, bytes | None]], offset: int, version: int) -> None:
        """Apply changes of a version that stand in the changelog up to `offset`, at once. Raises StateError."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in changes:
            _put(batch, key, value)
        self._write(batch, offset, version)

    def overwritten(self) -> list[bytes]:
        """The keys whose last record in the changelog is not what is here; not any more after `forget_overwritten`."""
        return [key.removeprefix(_OVERWRITTEN) for key, _ in self.scan(_OVERWRITTEN)]

    def forget_overwritten(self, keys: Iterable[bytes]) -> None:
        """The changelog says of these keys what is here again."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key in keys:
            batch.delete(_OVERWRITTEN + key)
        self._db.write(batch, self._options)

    def size(self) -> Size:
        """How much is in it."""
        counted = [self._db.property_int_value(f"rocksdb.{name}") or 0 for name in _SIZES]
        return Size(counted[0], sum(counted[1:]))

    def recover(self, batch: Batch) -> int:
        """Apply what the changelog has; how many records of it came too late, and were left out. Raises StateError."""
        changes = rocksdict.WriteBatch(raw_mode=True)
        known = self.get(_VERSION_KEY)
        version, too_late = -1 if known is None else int(known), 0
        for record in batch.records:
            told = version_of(record.headers)
            if told < version:
                changes.put(_OVERWRITTEN + record.key, b"")
                too_late += 1
                continue
            version = told
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
        """The error as this package names it. Damage is noted for the next start: of all tables, as they share the disk."""
        if not _is_damage(error):
            return error
        for path in self._path.parent.glob("*.db"):
            _damage_note(path).touch()
        return StateError(f"{self._path}: {error}")


class StateOptions(rocksdb.RocksDBOptions):
    """Options of every partition's database: all share the process' memory for state."""

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
        # They would else grow with the state, beside the cache.
        files.set_cache_index_and_filter_blocks(True)
        files.set_pin_l0_filter_and_index_blocks_in_cache(True)
        files.set_bloom_filter(_BLOOM_BITS, False)  # of whole files, not of blocks
        options.set_block_based_table_factory(files)
        return options


class RowStore(rocksdb.Store):
    """Faust's RocksDB store, giving out partitions, and applying changelogs that arrive in batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rocksdb_options = StateOptions()

    def partition(self, number: int) -> PartitionRows:
        """The rows of one partition that this worker has."""
        return PartitionRows(self._db_for_partition(number), self.partition_path(number))

    def held(self) -> list[PartitionRows]:
        """The rows of all partitions that this worker has. Only for the thread that opens and closes them."""
        return [PartitionRows(db, self.partition_path(number)) for number, db in self._dbs.items()]

    def persisted_offset(self, tp: TP) -> int | None:
        """The last offset of the changelog that is here."""
        offset = self.partition(tp.partition).get(_OFFSET_KEY)
        return None if offset is None else int(offset)

    async def stop(self) -> None:
        """Write what is in memory to the disk, so that the next start need not read it from the changelog."""
        for partition, db in self._dbs.items():
            try:
                db.flush()
            except Exception as error:  # noqa: BLE001 - RocksDB's have no kinds; what is not on the disk is in the changelog
                log.warning("state_not_flushed", path=str(self.partition_path(partition)), error=str(error))
        await super().stop()

    def size(self) -> Size:
        """How much is in the partitions that this worker has. Only for the thread that opens and closes them."""
        sizes = [rows.size() for rows in self.held()]
        return Size(sum(size.rows for size in sizes), sum(size.bytes for size in sizes))

    def apply_changelog_batch(
        self, batch: Iterable[EventT[Any]], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]
    ) -> None:
        """Write what recovery read. The keys and values are bytes, so neither callable is needed."""
        del to_key, to_value
        for event in batch:
            delivered = cast("Batch", event.message.value)
            try:
                too_late = self.partition(delivered.tp.partition).recover(delivered)
            except Exception as error:
                # Faust would log it and wait for ever.
                self._crashing = asyncio.ensure_future(self.app.crash(error))
                raise
            if too_late:
                log.warning("records_too_late", changelog=str(delivered.tp), records=too_late)

    def _open_for_partition(self, partition: int) -> Any:
        path = self.partition_path(partition)
        if _damage_note(path).exists():
            self._start_over(
                path, "state_damaged", "it, or another table on this disk, could not be read when the worker ran last"
            )
        elif _is_left_alone(path):
            self._start_over(path, "state_too_old", "it may hold rows that were deleted since")
        try:
            return super()._open_for_partition(partition)
        except Exception as error:
            if not _is_damage(error):
                raise
            self._start_over(path, "state_damaged", str(error))
            return super()._open_for_partition(partition)

    def _start_over(self, path: Path, event: str, because: str) -> None:
        """Throw the rows of a partition away: they come from the changelog."""
        log.warning(event, path=str(path), because=because, what_now="it is rebuilt from the changelog")
        shutil.rmtree(path, ignore_errors=True)
        _damage_note(path).unlink(missing_ok=True)


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

    def partition(self, number: int) -> PartitionRows:
        """The rows of one partition that this worker has."""
        return cast("RowStore", self.data).partition(number)

    def held(self) -> list[PartitionRows]:
        """The rows of all partitions that this worker has."""
        return cast("RowStore", self.data).held()

    def size(self) -> Size:
        """How much is in the partitions that this worker has."""
        return cast("RowStore", self.data).size()

    def changelog(self, partition: int) -> TP:
        """Where the changes of a partition are written."""
        return TP(self.changelog_topic_name, partition)


def _put(batch: Any, key: bytes, value: bytes | None) -> None:
    if value is None:
        batch.delete(key)
    else:
        batch.put(key, value)


def _is_damage(error: Exception) -> bool:
    """Whether an error of RocksDB, which has no kinds, says that files are not what was written."""
    text = str(error)
    return text.startswith("Corruption") or "No such file" in text


def _damage_note(path: Path) -> Path:
    return path.with_name(f"{path.name}.damaged")


def _is_left_alone(path: Path) -> bool:
    """Whether no worker has had the rows open for long."""
    files = list(path.glob("*")) if path.is_dir() else []
    return bool(files) and time.time() - max(file.stat().st_mtime for file in files) > LOOKED_AFTER_SECONDS

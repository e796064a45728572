"""The worker's tables on its disk: damage is found, and late records of a changelog are skipped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, cast

import pytest
import rocksdict
from faust.types import TP

from schemas.errors import FencedError, StateError
from streams.runtime.batch import Batch
from streams.runtime.fencing import WriterFence, Written, header
from streams.runtime.state_store import MAX_UNUSED_SECONDS, WRITE_BUFFERS, PartitionRows, RowStore, StateOptions
from tests.faults.damage import flip

CHANGELOG = TP("a-changelog", 0)


class ChangelogRecord(NamedTuple):
    """A record of a changelog."""

    offset: int
    key: bytes
    value: bytes | None
    headers: list[tuple[str, str | bytes | None]]


def changelog(*records: tuple[int, str, str | None], start: int = 0) -> Batch:
    """A part of a changelog of (version, key, value)."""
    records_written = [
        ChangelogRecord(offset, key.encode(), None if value is None else value.encode(), header(version))
        for offset, (version, key, value) in enumerate(records, start)
    ]
    return Batch(CHANGELOG, start, start + len(records_written), records_written)


def opened(path: Path) -> PartitionRows:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    return PartitionRows(rocksdict.Rdict(str(path), options=options), path)


@pytest.fixture
def rows(tmp_path: Path) -> PartitionRows:
    return opened(tmp_path / "rows-0.db")


def test_recovery_takes_the_changelog_in_its_order(rows: PartitionRows) -> None:
    assert rows.recover(changelog((1, "a", "1"), (2, "a", "2"), (2, "b", "2"), (3, "b", None))) == 0
    assert (rows.get(b"a"), rows.get(b"b"), rows.overwritten()) == (b"2", None, [])


def test_a_late_record_is_skipped_and_its_row_is_written_again(rows: PartitionRows) -> None:
    """
    offset   0    1    2    3         the worker of version 5 lost its partition, and its record
    version  5    9    5    9         comes after that of version 9
    key      a    a    a    b
    """
    assert rows.recover(changelog((5, "a", "old"), (9, "a", "new"), (5, "a", "late"), (9, "b", "x"))) == 1
    assert (rows.get(b"a"), rows.get(b"b")) == (b"new", b"x")
    assert rows.overwritten() == [b"a"]
    rows.clear_overwritten([b"a"])
    assert rows.overwritten() == []


def test_late_records_are_found_across_parts_of_the_changelog(rows: PartitionRows) -> None:
    rows.recover(changelog((9, "a", "new")))
    assert rows.recover(changelog((5, "a", "late"), (5, "c", "late"), start=1)) == 2
    assert (rows.get(b"a"), rows.get(b"c"), rows.overwritten()) == (b"new", None, [b"a", b"c"])
    assert rows.recover(changelog((10, "a", "newer"), start=3)) == 0
    assert (rows.get(b"a"), rows.overwritten()) == (b"newer", [b"c"])


def test_a_late_record_does_not_replace_what_this_worker_wrote(rows: PartitionRows) -> None:
    rows.write([(b"a", b"own")], 7, version=20)
    assert rows.recover(changelog((19, "a", "late"), start=8)) == 1
    assert rows.get(b"a") == b"own"


def test_contiguous_records_pass_the_fence() -> None:
    known = WriterFence()
    known.follow("c", 0, 41, Written(42, 44, 3))
    known.follow("c", 0, 41, Written(45, 45, 1))
    # Recovery has read the records of others meanwhile.
    known.follow("c", 0, 99, Written(100, 100, 1))
    # Recovery read the end before the last own record was there.
    known.follow("c", 0, 99, Written(101, 110, 10))


@pytest.mark.parametrize(
    "written",
    [Written(43, 45, 3), Written(42, 45, 3), Written(41, 43, 3)],
    ids=["others before", "others in between", "own from before"],
)
def test_records_of_another_worker_between_its_own_stop_a_worker(written: Written) -> None:
    with pytest.raises(FencedError, match="another worker has written to c/0"):
        WriterFence().follow("c", 0, 41, written)


def filled(path: Path, count: int = 2_000) -> None:
    """Rows on the disk, closed."""
    rows = opened(path)
    random = Random(1)
    rows.write([(b"k%06d" % number, random.randbytes(64)) for number in range(count)], count, version=1)
    rows._db.flush()
    rows._db.close()


def read_all(rows: PartitionRows) -> object:
    return list(rows.scan(b"k"))


def read_each(rows: PartitionRows) -> object:
    return [rows.get(b"k%06d" % number) for number in range(2_000)]


@pytest.mark.parametrize("read", [read_all, read_each])
def test_damaged_rows_are_an_error_and_never_missing(tmp_path: Path, read: Callable[[PartitionRows], object]) -> None:
    path = tmp_path / "rows-0.db"
    filled(path)
    assert flip(tmp_path, "rows", Random(1)) == 1
    with pytest.raises(StateError, match=r"rows-0\.db"):
        read(opened(path))
    assert (tmp_path / "rows-0.db.damaged").exists()


class _Options:
    """How a `RowStore` opens a partition."""

    def open(self, path: Path, *, read_only: bool = False) -> object:
        assert not read_only
        return opened(path)._db


def store_of(tmp_path: Path) -> RowStore:
    """A store with its partitions in a directory, without an app around it."""
    store = RowStore.__new__(RowStore)
    store._dbs, store.read_only, store.rocksdb_options = {}, False, cast("Any", _Options())
    store.partition_path = lambda partition: tmp_path / f"rows-{partition}.db"  # type: ignore[method-assign]
    return store


def test_undamaged_state_is_kept(tmp_path: Path) -> None:
    filled(tmp_path / "rows-0.db")
    assert store_of(tmp_path).persisted_offset(TP("c", 0)) == 2_000


@pytest.mark.parametrize("damage", ["marker", "index", "missing", "age"])
def test_state_that_cannot_be_trusted_is_deleted(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "rows-0.db"
    filled(path)
    if damage == "marker":
        (tmp_path / "rows-0.db.damaged").touch()
    elif damage == "index":
        assert flip(tmp_path, "index", Random(1))
    elif damage == "missing":
        for file in path.glob("*.sst"):
            file.unlink()
    else:
        before = time.time() - MAX_UNUSED_SECONDS - 60
        for file in path.glob("*"):
            os.utime(file, (before, before))
    store = store_of(tmp_path)
    assert store.persisted_offset(TP("c", 0)) is None
    assert store.partition(0).get(b"k000001") is None
    assert not (tmp_path / "rows-0.db.damaged").exists()
    store.partition(0).write([(b"k", b"v")], 5, version=1)
    assert store.persisted_offset(TP("c", 0)) == 5


def test_all_partitions_share_one_limit_of_memory_and_keep_no_endless_logs(tmp_path: Path) -> None:
    before = WRITE_BUFFERS.get_usage()
    partitions = [PartitionRows(StateOptions().open(path), path) for path in (tmp_path / "0.db", tmp_path / "1.db")]
    for rows in partitions:
        rows.write([(b"%d" % number, bytes(1_000)) for number in range(3_000)], 1, 1)
    assert WRITE_BUFFERS.get_usage() - before > 6_000_000, "the buffers of both count"
    options = "".join(file.read_text() for file in (tmp_path / "0.db").glob("OPTIONS-*"))
    assert {"keep_log_file_num=2", "stats_dump_period_sec=0", "cache_index_and_filter_blocks=true"} <= set(
        options.split()
    )

"""A disk that fills up: the embedded ClickHouse stops writing before it is full, logs it, and goes on when there is room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from deploy.local.clickhouse.service import LocalClickHouse
from tests.faults.services import full_disk, small_disk
from tests.support.scraped import until


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=300) as directory:
        yield directory


@pytest.fixture
def service(disk: Path) -> Iterator[LocalClickHouse]:
    with LocalClickHouse(disk / "data") as running:
        yield running


def client_of(service: LocalClickHouse) -> Client:
    return clickhouse_connect.get_client(host="127.0.0.1", port=service.port)


def is_refused(client: Client, statement: str) -> bool:
    """Whether a statement is refused for want of room."""
    try:
        client.command(statement)
    except DatabaseError as error:
        text = str(error)
    else:
        return False
    assert "NOT_ENOUGH_SPACE" in text
    assert "make room there, or move FIRSTCALL_DATA_DIR to a larger disk" in text
    return True


def test_nothing_is_written_to_a_disk_that_is_almost_full(service: LocalClickHouse, disk: Path) -> None:
    client = client_of(service)
    client.command("CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n")
    client.command("INSERT INTO kept SELECT * FROM numbers(1000)")
    with full_disk(disk):
        until(lambda: "nothing is written to it until there is room" in service.process.last_log_lines())
        for statement in (
            "INSERT INTO kept VALUES (1)",
            "CREATE TABLE copied ENGINE = MergeTree ORDER BY n AS SELECT * FROM kept",
            "ALTER TABLE kept DELETE WHERE n = 1",
            "OPTIMIZE TABLE kept FINAL",
        ):
            assert is_refused(client, statement)
        assert client.query("SELECT count() FROM kept").result_rows == [(1000,)]
    until(lambda: not is_refused(client, "INSERT INTO kept VALUES (1000)"))
    assert not is_refused(client, "OPTIMIZE TABLE kept FINAL")
    assert client.query("SELECT count(), max(n) FROM kept").result_rows == [(1001, 1000)]


def test_merges_wait_for_room_and_then_go_on(service: LocalClickHouse, disk: Path) -> None:
    client = client_of(service)
    client.command("CREATE TABLE parted (n UInt64) ENGINE = MergeTree ORDER BY n")
    # Not before the disk is full; what stops merges there stops them too, and lets these go on as well.
    client.command("SYSTEM STOP MERGES parted")
    for n in range(20):
        client.command(f"INSERT INTO parted VALUES ({n})")
    parts = "SELECT count() FROM system.parts WHERE active AND table = 'parted'"
    with full_disk(disk, leaving=20 * 1024**2):
        until(lambda: "nothing is written to it until there is room" in service.process.last_log_lines())
        assert client.query(parts).result_rows == [(20,)]
    until(lambda: bool(client.query(parts).result_rows[0][0] < 20))

"""A little of several faults: as much as `make test` has time for. `make faults` does the rest (FAULTS.md)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from deploy.local.clickhouse import LocalClickHouse
from deploy.local.kafka.broker import LocalBroker
from sinks.clickhouse import Address
from sinks.migrations import migrate
from tests.faults.clock import faked_clock
from tests.faults.damage import flip
from tests.faults.line import Line
from tests.faults.report import Row
from tests.faults.strikes import fill_disk, kill_worker, move_clock, restart_broker, terminate
from tests.faults.trial import tried

EVENTS = 6_000

pytestmark = pytest.mark.timeout(600)


def row() -> Row:
    """What came of it, which is not for the table."""
    return Row("", 0, "a little")


def test_faults_in_turn_lose_and_double_nothing(broker: str, database: str, unique: str, tmp_path: Path) -> None:
    """
    sink      ══╳═╳═╳══✕══════════════     ╳ connections reset in the middle of inserts, ✕ kill -9 at a random moment
    worker    ════════════✕═══□▒══════     □ SIGTERM, ▒ comes back to rows that are damaged
    """
    address = Address.parse(database)
    line = Line(address.port)
    through_line = database.replace(f":{address.port}/", f":{line.port}/")
    try:
        with tried(broker, unique, tmp_path, through_line, EVENTS, row()) as trial:
            trial.load(per_second=500)
            trial.working()
            for _ in range(3):
                with trial.strike("sink", goes_on=False):
                    resets = line.resets
                    line.reset_after(10_000)
                    trial.until(lambda resets=resets: line.resets > resets or trial.is_idle(), 60, "a request is reset")  # type: ignore[misc]
            with trial.strike("sink", goes_on=False):
                trial.kill_sink()
                trial.start_sink()
            kill_worker(trial, 1)
            with trial.strike():
                assert trial.kill("worker-1", signal.SIGTERM) == 0
                assert flip(trial.state_of("worker-1"), "index", trial.random)
                trial.start("worker-1")
            trial.finish()
            assert (line.resets > 0, trial.row.times) == (True, 6), "all of it struck before the load was through"
            assert "state_damaged" in trial.log("worker-1")
    finally:
        line.cut()


def test_sigterm_under_full_load_ends_worker_and_sink_in_order_and_in_time(
    broker: str, database: str, unique: str, tmp_path: Path
) -> None:
    with tried(broker, unique, tmp_path, database, 24_000, row()) as trial:
        # About as much as two cores take, and for ten seconds however fast they are, so that both are struck at work.
        trial.load(per_second=2_400)
        trial.working()
        terminate(trial, ("worker-1", "sink"))
        trial.finish()


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(
    kafka_service: LocalBroker, database: str, unique: str, tmp_path: Path
) -> None:
    with tried(kafka_service.bootstrap, unique, tmp_path, database, EVENTS, row()) as trial:
        trial.load(per_second=1_000)
        trial.working()
        restart_broker(trial, kafka_service, 1)
        trial.finish()


def test_a_full_disk_costs_nothing(
    broker: str, disk: Path, clickhouse_service: LocalClickHouse, unique: str, tmp_path: Path
) -> None:
    database = f"{clickhouse_service.url}/{unique}"
    migrate(Address.parse(database))
    with tried(broker, unique, tmp_path, database, EVENTS, row()) as trial:
        trial.load(per_second=500)
        trial.working()
        fill_disk(trial, disk, 1, seconds=2)
        trial.finish()


def test_a_clock_that_jumps_costs_nothing(broker: str, database: str, unique: str, tmp_path: Path) -> None:
    clock = faked_clock(tmp_path / "clock")
    with tried(broker, unique, tmp_path, database, EVENTS, row(), environment=clock) as trial:
        trial.load(per_second=1_000)
        trial.working()
        move_clock(trial, tmp_path / "clock", ("+30d", "-3h"), seconds=2)
        trial.finish()

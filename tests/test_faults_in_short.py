"""A little of several faults in one deployment: as much as `make test` has time for. `make faults` does the rest (FAULTS.md)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from sinks.connection import Address
from tests.faults.damage import flip
from tests.faults.line import Line
from tests.faults.report import Row
from tests.faults.trial import Trial

EVENTS = 6_000

pytestmark = pytest.mark.timeout(600)


def test_faults_in_turn_lose_and_double_nothing(broker: str, database: str, unique: str, tmp_path: Path) -> None:
    """
    sink      ══╳═╳═╳══✕═══════════     ╳ connections reset in the middle of inserts, ✕ kill -9
    worker    ═══════════════□▒═══      □ SIGTERM under load, ▒ comes back to rows that are damaged
    """
    address = Address.parse(database)
    line = Line(address.port)
    trial = Trial(
        broker,
        unique,
        tmp_path,
        database.replace(f":{address.port}/", f":{line.port}/"),
        EVENTS,
        Row("", 0, "several"),
    )
    try:
        trial.start("worker-1")
        trial.start_sink()
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
        with trial.strike():
            assert trial.kill("worker-1", signal.SIGTERM) == 0
            assert flip(trial.state_of("worker-1"), "index", trial.random)
            trial.start("worker-1")
        trial.finish()
        assert line.resets
        assert "state_damaged" in trial.log("worker-1")
    finally:
        trial.stop()
        line.cut()

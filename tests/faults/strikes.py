"""What is done to a deployment at work, so many times: `make faults` does it often, `make test` once or twice."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from deploy.local.kafka.broker import LocalBroker
from tests.faults.clock import set_clock
from tests.faults.services import full_disk, kill
from tests.faults.trial import GOES_ON_WITHIN_SECONDS, Trial


def kill_worker(trial: Trial, times: int, at_work_seconds: float = 1.0) -> None:
    """`kill -9` at random moments: mostly while it works, else whenever it comes: in its start, its recovery, a rebalance.

    Up to so many times, as long as there is something to do.
    """
    is_at_work = False
    for number in range(times):
        if trial.is_through():
            return
        waits_for_work = number % 3 != 2
        with trial.pacing(trial.between) if is_at_work else nullcontext():
            trial.pause(trial.random.uniform(0, at_work_seconds if waits_for_work else 8))
        is_at_work = waits_for_work
        with trial.strike(goes_on=is_at_work):
            trial.kill("worker-1")
            trial.start("worker-1")


def terminate(trial: Trial, victims: Iterable[str]) -> None:
    """SIGTERM of workers and the sink in turn, each while there is something to do: it ends in order, in time, and comes back."""
    longest = 0.0
    for victim in victims:
        trial.pause(trial.random.uniform(0, 1))
        trial.until(lambda: not trial.is_idle(), GOES_ON_WITHIN_SECONDS, "there is something to do")
        with trial.strike("sink" if victim == "sink" else "workers"):
            longest = max(longest, trial.terminate(victim))
            trial.start_sink() if victim == "sink" else trial.start(victim)
    trial.row.note = f"exit code 0 each time, after {longest:.1f} s at most"


def restart_broker(trial: Trial, kafka: LocalBroker, times: int) -> None:
    """The broker is killed and stopped in turn, is away for some seconds, and comes back."""
    for number in range(times):
        trial.pause(trial.random.uniform(0, 2))
        with trial.strike():
            kafka.stop() if number % 2 else kill(kafka)
            trial.pause(trial.random.uniform(0, 5))
            kafka.start()


def fill_disk(trial: Trial, disk: Path, times: int, seconds: float) -> None:
    """ClickHouse's disk is full for so long."""
    for _ in range(times):
        trial.pause(trial.random.uniform(0, 2))
        with trial.strike("sink"), full_disk(disk):
            trial.pause(seconds)
    assert "clickhouse_unavailable" in trial.log("sink")


def move_clock(trial: Trial, clock: Path, jumps: Iterable[str], seconds: float) -> None:
    """The wall clocks of workers and sink jump, and go on from there for so long."""
    for jump in jumps:
        with trial.strike():
            set_clock(clock, jump)
            trial.pause(seconds)

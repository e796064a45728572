"""A worker that was suspended for too long, or whose wall clock was set back, does not go on."""

from __future__ import annotations

import pytest

from schemas.errors import FencedError
from streams.runtime.lease import Lease, WallClock


def test_a_lease_is_lost_by_one_long_gap_and_stays_lost() -> None:
    now = 0.0
    lease = Lease(10.0, lambda: now)
    lease.check()
    for now in (9.0, 18.5, 28.0):  # noqa: B007 - the clock reads it
        lease.check()
    now = 39.0
    with pytest.raises(FencedError, match="suspended for 11 s"):
        lease.check()
    now = 40.0
    with pytest.raises(FencedError):
        lease.check()


@pytest.mark.parametrize(("step", "stops"), [(-3_600, True), (-6, True), (-4, False), (0, False), (3_600, False)])
def test_a_wall_clock_that_is_set_back_stops_the_worker(step: int, stops: bool) -> None:
    wall, steady = iter([1_000, 1_001 + step, 1_002 + step]), iter([5, 6, 7])
    clock = WallClock(lambda: next(wall), lambda: next(steady))
    if stops:
        with pytest.raises(FencedError, match="set back"):
            clock.check()
    else:
        clock.check()
    clock.check()

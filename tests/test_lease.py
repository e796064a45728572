"""A worker that stood still does not go on."""

from __future__ import annotations

import pytest

from streams.lease import Lease, LeaseLostError


def test_a_lease_is_lost_by_one_long_gap_and_stays_lost() -> None:
    now = 0.0
    lease = Lease(10.0, lambda: now)
    lease.check()
    for now in (9.0, 18.5, 28.0):  # noqa: B007 - the clock reads it
        lease.check()
    now = 39.0
    with pytest.raises(LeaseLostError, match="stood still for 11 s"):
        lease.check()
    now = 40.0
    with pytest.raises(LeaseLostError):
        lease.check()

"""Wall clocks that jump, by Debian's libfaketime; what counts seconds (the monotonic clock) goes on, as it does on real machines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest


def faked_clock(file: Path) -> Mapping[str, str]:
    """The environment of processes whose clock goes by a file. Skips the test without libfaketime."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("no libfaketime: apt-get install libfaketime")
    set_clock(file, "+0")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(file: Path, offset: str) -> None:
    """Let the clock jump to the true time and `offset`, as in +3h or -30d."""
    new = file.with_suffix(".new")
    new.write_text(f"{offset}\n")
    new.replace(file)

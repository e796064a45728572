"""Wall clocks that jump, by Debian's libfaketime; what counts seconds (the monotonic clock) goes on, as it does on real machines."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

_WAITS: Final = Path(__file__).with_name("clock_waits.c")


def faked_clock(file: Path) -> Mapping[str, str]:
    """The environment of processes whose clock goes by a file. Skips the test without libfaketime and a C compiler."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    compiler = shutil.which("cc")
    if not found or compiler is None:
        pytest.skip("no libfaketime, or no C compiler: apt-get install libfaketime gcc libc6-dev")
    waits = file.with_name("clock_waits.so")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", waits, _WAITS], check=True)
    set_clock(file, "+0")
    return {
        "LD_PRELOAD": f"{found[0]}:{waits}",
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

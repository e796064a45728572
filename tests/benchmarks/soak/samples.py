"""What processes hold, looked at every few seconds, and whether it grows."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from statistics import fmean, median
from typing import Final, NamedTuple

#: More than that, from the second quarter of a run to the last one, is growth.
FLAT_WITHIN_PERCENT: Final = 10.0


class Sample(NamedTuple):
    """One look. `events`: those of the input topics that the workers have acknowledged by then.

    `memory`: resident MB by process. `disk`: MB by what lies there. `worker_lag`, `sink_lag`: messages of all their topics.
    """

    seconds: float
    events: int
    sunk: int
    worker_lag: int
    sink_lag: int
    memory: dict[str, float]
    disk: dict[str, float]


class Trend(NamedTuple):
    """Of one process: the medians of the quarters of a run in MB, and the slope over its last three in MB per million events."""

    quarters: tuple[float, ...]
    slope: float

    @property
    def growth_percent(self) -> float:
        """From the second quarter to the last."""
        return 100 * (self.quarters[3] / self.quarters[1] - 1)

    @property
    def is_flat(self) -> bool:
        return self.growth_percent < FLAT_WITHIN_PERCENT


def resident_mb(process: int) -> float:
    """Memory of a process that lies in RAM, shared pages of files included."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def size_mb(directory: Path) -> float:
    """What the files of a directory take on the disk. Files that go away meanwhile count for nothing."""
    taken = 0
    for folder, _, files in os.walk(directory):
        for file in files:
            with suppress(OSError):
                taken += Path(folder, file).lstat().st_blocks * 512
    return taken / 1024**2


def trend(samples: list[Sample], process: str) -> Trend:
    """How the memory of a process went. The first quarter is left out of the slope: caches and state fill in it."""
    size = len(samples) // 4
    held = [sample.memory[process] for sample in samples]
    quarters = tuple(median(held[size * number : size * (number + 1)]) for number in range(4))
    return Trend(quarters, _slope([sample.events / 1e6 for sample in samples[size:]], held[size:]))


def _slope(along: list[float], values: list[float]) -> float:
    middle, mean = fmean(along), fmean(values)
    spread = sum((each - middle) ** 2 for each in along)
    return sum((x - middle) * (y - mean) for x, y in zip(along, values, strict=True)) / spread if spread else 0.0

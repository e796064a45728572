"""What a fault did, as a row of the table in FAULTS.md: `python -m tests.faults.report` writes the last runs into it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.config.sources import TEST_PREFIX

ROOT: Final = Path(__file__).resolve().parents[2]
#: A file for each fault that was tried and is not in the table yet.
RUNS: Final = Path(os.environ.get(f"{TEST_PREFIX}FAULTS", ROOT / ".firstcall" / "faults"))
PAGE: Final = ROOT / "tests" / "faults" / "FAULTS.md"

_TABLE: Final = re.compile(r"(<!-- faults: begin -->\n)(.*?)(<!-- faults: end -->)", re.DOTALL)
_LINE: Final = re.compile(r"^\| (\d+) \|.*$", re.MULTILINE)
_HEAD: Final = (
    "| | fault | times | events | not acknowledged | lost | doubled | other differences | audit | goes on after | done after | restarts | again: `make faults` |\n"
    "|--:|---|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|---|\n"
)


@dataclass
class Row:
    """What was injected, and what came of it. `order`: its number in the table.

    `unacknowledged`: the most messages that were in Kafka and not acknowledged when the fault struck. `goes_on_seconds`: after
    each strike, until something more was acknowledged. `done_seconds`: after the last one, until nothing was left.
    `restarts`: processes that ended by themselves, and were started again. `again`: the arguments of `make faults` that
    repeat it.
    """

    name: str
    order: int
    fault: str
    times: int = 0
    events: int = 0
    unacknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    differences: int = 0
    audit: str = ""
    goes_on_seconds: list[float] = dataclasses.field(default_factory=list)
    done_seconds: float = 0.0
    restarts: int = 0
    note: str = ""
    again: str = ""

    def keep(self) -> None:
        """Store it for the table, unless it has no name."""
        if not self.name:
            return
        RUNS.mkdir(parents=True, exist_ok=True)
        (RUNS / f"{self.name}.json").write_text(json.dumps(dataclasses.asdict(self), indent=1))

    def line(self) -> str:
        """It as a line of the table."""
        goes_on = "-"
        if self.goes_on_seconds:
            middle = sorted(self.goes_on_seconds)[len(self.goes_on_seconds) // 2]
            goes_on = f"{middle:.0f} s, at most {max(self.goes_on_seconds):.0f} s"
        counts = f"{self.events:,} | {self.unacknowledged:,} | {self.lost} | {self.doubled} | {self.differences}"
        fault = self.fault + (f" ({self.note})" if self.note else "")
        return f"| {self.order} | {fault} | {self.times} | {counts} | {self.audit} | {goes_on} | {self.done_seconds:.0f} s | {self.restarts} | `{self.again}` |"


def written(page: str) -> str:
    """The page with the lines of the last runs in the places of those of earlier ones. A run is done with then."""
    found = _TABLE.search(page)
    assert found, "the page has a place for the table"
    lines = {int(line[1]): line[0] for line in _LINE.finditer(found[2])}
    for file in RUNS.glob("*.json"):
        row = Row(**json.loads(file.read_text()))
        lines[row.order] = row.line()
        file.unlink()
    table = _HEAD + "".join(f"{lines[order]}\n" for order in sorted(lines))
    return page[: found.start()] + found[1] + table + found[3] + page[found.end() :]


def main() -> None:
    """Write the table into the page."""
    PAGE.write_text(written(PAGE.read_text()))


if __name__ == "__main__":
    main()

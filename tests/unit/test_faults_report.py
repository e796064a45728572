"""The table of faults: a fault that is tried again replaces its own line, and no other."""

from __future__ import annotations

import pytest

from tests.faults import report, test_faults
from tests.faults.report import Row, written

PAGE = """before
<!-- faults: begin -->
| | fault | times |
|--:|---|--:|
| 2 | of old | 5 |
| 10 | another | 6 |
<!-- faults: end -->
after
"""


def test_a_run_takes_the_place_of_its_line_once(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "RUNS", tmp_path)
    Row("sink_killed", 2, "of new", times=20, events=1_000, audit="agrees", again="FAULT=sink_killed SEED=2").keep()
    Row("slow", 3, "a new one").keep()
    page = written(PAGE)
    numbers = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| ")][1:]
    assert numbers == [[" 2 ", " of new ", " 20 "], [" 3 ", " a new one ", " 0 "], [" 10 ", " another ", " 6 "]]
    assert "| `FAULT=sink_killed SEED=2` |\n" in page, "how it is done again"
    assert page.startswith("before\n<!-- faults: begin -->\n") and page.endswith("<!-- faults: end -->\nafter\n")
    assert written(page) == page, "a run that is in the table is done with"


def test_the_name_of_a_fault_chooses_it_and_no_other():
    names = [name.removeprefix("test_") for name in vars(test_faults) if name.startswith("test_")]
    assert len(names) > 20
    for name in names:
        assert [other for other in names if name in other] == [name]


def test_a_page_without_a_table_is_refused():
    with pytest.raises(AssertionError, match="place for the table"):
        written("no table")

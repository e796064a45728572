"""The page of threats names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "deploy" / "docs" / "THREATS.md").read_text()
NAMED = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)


def functions_of(name: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / name).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_is_named_is_there():
    assert len(NAMED) > 40
    missing = [f"{file}::{test}" for file, test in NAMED if test not in functions_of(file)]
    assert missing == []


def test_every_threat_has_what_holds_and_a_test():
    rows = [line for line in PAGE.partition("## What does not hold")[0].splitlines() if line.startswith("| ")]
    threats = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows if row.count(" | ") == 2]
    told = [cells for cells in threats if cells[0] not in {"threat", ""}]
    assert len(told) > 25
    for _, holds, shown in told:
        assert holds
        assert re.search(r"`test_\w+\.py::test_\w+`", shown), shown

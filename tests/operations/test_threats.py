"""The page of threats names a test for each, and these tests exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "deploy" / "docs" / "THREATS.md").read_text("utf-8")
TEST = r"`(test_\w+\.py)::(test_\w+)`"


def functions_of(name: str) -> set[str]:
    """The test functions of a file of that name, in whatever folder of tests/ it is."""
    (path,) = (ROOT / "tests").rglob(name)
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("file", sorted({file for file, _ in re.findall(TEST, PAGE)}))
def test_every_named_test_exists(file):
    named = {test for name, test in re.findall(TEST, PAGE) if name == file}
    assert named <= functions_of(file)


def test_every_threat_has_a_defence_and_a_test():
    rows = [line for line in PAGE.partition("## What does not hold")[0].splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows if row.count(" | ") == 2]
    threats = [row for row in cells if row[0] not in {"threat", ""}]
    assert len(threats) > 25
    assert len(re.findall(TEST, PAGE)) > 40
    for _, defence, shown in threats:
        assert defence
        assert re.search(TEST, shown), shown

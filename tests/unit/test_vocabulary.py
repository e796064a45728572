"""The words of the project: one word for one thing, the field's word. schemas/README.md has the glossary."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: What went, and what the field calls it.
OLD_WORDS = {
    "tell|tells|told|telling|untold|retell|retelling": "emit, publish, report, show",
    "say|says|said|saying": "contain, carry, state, print, show, report",
    "hear|hears|heard": "receive",
    "void": "erased, suppressed",
    "anew": "again",
    "whoever|whosever": "name who it is",
    "forget|forgets|forgot|forgotten|forgetting": "drop",
    "tidy|tidying": "prune",
    "settle|settles|settled|settling|settlement": "reconcile",
    "succession": "fence",
    "continuity": "gap detector",
    "scribe": "retrying writer",
    "tether|tethered": "child process",
    "beats": "heartbeats",
    "judge|judges|judged|judging|judgement": "evaluate",
    "standing": "progress, status, state",
}
#: This file names them.
EXEMPT = {"tests/unit/test_vocabulary.py", "LICENSE"}
#: In identifiers, words are parts of snake_case and CamelCase names.
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def texts() -> list[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    kinds = {".py", ".md", ".sql", ".yaml", ".yml", ".toml", ".sh", ".html", ".css", ".js"}
    names = [name for name in listed.splitlines() if Path(name).suffix in kinds or Path(name).name == "Makefile"]
    return [(name, (ROOT / name).read_text("utf-8")) for name in names if name not in EXEMPT and (ROOT / name).exists()]


@pytest.mark.parametrize("old", OLD_WORDS)
def test_old_words_do_not_return(old):
    gone = set(old.split("|"))
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if gone & {part.lower() for part in PART.findall(line)}
    ]
    assert not found, f"write {OLD_WORDS[old]}:\n" + "\n".join(found[:50])

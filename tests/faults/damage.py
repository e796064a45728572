"""Damage to the files of a worker's tables, as by a failing disk."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

_FILES: Final = {"rows": "**/*.sst", "index": "**/*.sst", "manifest": "**/MANIFEST-*"}
#: Files with less are left alone: there is hardly anything in them.
_LEAST_BYTES: Final = 200


def flip(directory: Path, what: str, random: Random, bytes_flipped: int = 16) -> int:
    """Flip bytes in all files of a kind: of tables among the rows, or at the end, where the index is; how many files there were."""
    damaged = 0
    for file in sorted(directory.glob(_FILES[what])):
        size = file.stat().st_size
        if size < _LEAST_BYTES:
            continue
        with file.open("r+b") as opened:
            at = size - 40 if what == "index" else random.randrange(size // 4, size // 2)
            opened.seek(at)
            before = opened.read(bytes_flipped)
            opened.seek(at)
            opened.write(bytes(byte ^ 0xFF for byte in before))
        damaged += 1
    return damaged

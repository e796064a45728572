"""Keeps room on the disk: before it is full, merges stop and nothing more is taken in; when there is room again, all goes on.

On a disk that is full the engine (26.9) may finish a merge whose files were cut off, and from then on cannot read that table.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from deploy.local.clickhouse.engine import Engine, Failure
from deploy.local.clickhouse.request import QueryRequest
from deploy.local.clickhouse.statement import Insert

#: So much stays free, or a tenth of a smaller disk: what is being written when it is noticed still fits.
RESERVE_BYTES: Final = 512 * 1024**2
#: A disk that takes 1 GB/s cannot lose the reserve in between.
LOOKS_EVERY_SECONDS: Final = 0.1

_WRITING: Final = frozenset({"INSERT", "ALTER", "CREATE", "DELETE", "OPTIMIZE", "UPDATE"})
_NOT_ENOUGH_SPACE: Final = 243


class DiskGuard:
    """The room on the disk of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_scarce = False

    async def keep(self) -> None:
        """Watch the disk, and stop and start merges, until cancelled."""
        while True:
            free, reserve = _free_and_reserve(self._engine.directory)
            # Twice the reserve, so that it does not change with every part that goes.
            scarce = free < (2 * reserve if self._is_scarce else reserve)
            if scarce != self._is_scarce:
                self._is_scarce = scarce
                await asyncio.get_running_loop().run_in_executor(None, self._settle, free)
            await asyncio.sleep(LOOKS_EVERY_SECONDS)

    def refusal(self, ask: QueryRequest) -> Failure | None:
        """Why what is asked for is not done now; None if it may be."""
        writes = isinstance(ask.statement, Insert) or ask.statement.verb in _WRITING
        return self.too_little() if self._is_scarce and writes else None

    def too_little(self) -> Failure:
        """That there is too little of it."""
        free, reserve = _free_and_reserve(self._engine.directory)
        text = (
            f"Only {free // 1024**2} MiB are free on the disk of {self._engine.directory}, and {2 * reserve // 1024**2} MiB are "
            "needed before anything is written again: make room there, or move FIRSTCALL_DATA_DIR to a larger disk"
        )
        return Failure(_NOT_ENOUGH_SPACE, f"Code: {_NOT_ENOUGH_SPACE}. DB::Exception: {text}. (NOT_ENOUGH_SPACE)")

    def _settle(self, free: int) -> None:
        failed = self._engine.let_merges(run_on=not self._is_scarce)
        said = "nothing is written to it until there is room" if self._is_scarce else "all goes on"
        reason = f"; merges do not heed it: {failed.text}" if failed else ""
        print(f"{free // 1024**2} MiB are free on the disk: {said}{reason}", file=sys.stderr, flush=True)  # noqa: T201


def _free_and_reserve(directory: Path) -> tuple[int, int]:
    """Bytes that are free on a directory's disk, and how many should be."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize, min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // 10)

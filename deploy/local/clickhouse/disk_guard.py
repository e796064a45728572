"""Stops merges and refuses writes before the disk is full, and allows both again once there is space.

On a full disk the engine (26.9) may finish a merge with truncated files, and then cannot read that table again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from deploy.local.clickhouse.engine import Engine
from deploy.local.clickhouse.errors import ErrorCode, Failure
from deploy.local.clickhouse.request import QueryRequest
from deploy.local.clickhouse.statement import Insert

#: So much stays free, or a tenth of a smaller disk: writes that are under way still fit.
RESERVE_BYTES: Final = 512 * 1024**2
#: A disk that takes 1 GB/s cannot lose the reserve in between.
CHECK_SECONDS: Final = 0.1

_WRITING: Final = frozenset({"INSERT", "ALTER", "CREATE", "DELETE", "OPTIMIZE", "UPDATE"})


class DiskGuard:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_scarce = False

    async def watch(self) -> None:
        """Check the free space, and stop or start merges, until cancelled."""
        while True:
            free, reserve = _free_and_reserve(self._engine.directory)
            # Twice the reserve, so that it does not change with every part that is removed.
            scarce = free < (2 * reserve if self._is_scarce else reserve)
            if scarce != self._is_scarce:
                self._is_scarce = scarce
                await asyncio.get_running_loop().run_in_executor(None, self._switch_merges, free)
            await asyncio.sleep(CHECK_SECONDS)

    def refusal(self, query: QueryRequest) -> Failure | None:
        """The failure of a statement that would write while space is scarce; None for all others."""
        writes = isinstance(query.statement, Insert) or query.statement.verb in _WRITING
        return self.not_enough_space() if self._is_scarce and writes else None

    def not_enough_space(self) -> Failure:
        free, reserve = _free_and_reserve(self._engine.directory)
        return Failure.of(
            ErrorCode.NOT_ENOUGH_SPACE,
            f"Only {free // 1024**2} MiB are free on the disk of {self._engine.directory}, and {2 * reserve // 1024**2} MiB are "
            "needed before anything is written again: make room there, or move FIRSTCALL_DATA_DIR to a larger disk",
        )

    def _switch_merges(self, free: int) -> None:
        failure = self._engine.switch_merges("STOP" if self._is_scarce else "START")
        effect = "nothing is written to it until there is room" if self._is_scarce else "writes are allowed again"
        detail = f"; merges cannot be switched: {failure.text}" if failure else ""
        print(f"{free // 1024**2} MiB are free on the disk: {effect}{detail}", file=sys.stderr, flush=True)  # noqa: T201


def _free_and_reserve(directory: Path) -> tuple[int, int]:
    """The free bytes of a directory's disk, and how many should be free."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize, min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // 10)

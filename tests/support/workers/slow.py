"""A worker with one slow processor: `python -m tests.support.workers.slow worker`."""

from __future__ import annotations

import asyncio
from typing import Any

from deploy.cli.main import main
from streams.runtime import dropped_batches
from streams.runtime.commit_order import CommitOrder

SLOW = "fold_aliases"
BATCH_SECONDS = 0.3

make_durable: Any = CommitOrder.make_durable


async def _slowly(self: CommitOrder, table: Any, *rest: Any) -> None:
    if table.name == SLOW:
        await asyncio.sleep(BATCH_SECONDS)
    await make_durable(self, table, *rest)


if __name__ == "__main__":
    CommitOrder.make_durable = _slowly  # type: ignore[assignment, method-assign]
    # A batch of each of three partitions waits for longer.
    dropped_batches.DROPPED_AFTER_SECONDS, dropped_batches.CHECK_SECONDS = BATCH_SECONDS, BATCH_SECONDS / 10
    main()

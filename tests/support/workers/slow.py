"""A worker one of whose stages has much to do: `python -m tests.support.workers.slow worker`."""

from __future__ import annotations

import asyncio
from typing import Any

from deploy.cli.main import main
from streams.app import Worker
from streams.runtime import batch_consumer

SLOW = "fold_aliases"
BATCH_SECONDS = 0.3

apply: Any = Worker._apply


async def _slowly(self: Worker, table: Any, *rest: Any) -> None:
    if table.name == SLOW:
        await asyncio.sleep(BATCH_SECONDS)
    await apply(self, table, *rest)


if __name__ == "__main__":
    Worker._apply = _slowly  # type: ignore[assignment, method-assign]
    # A batch of each of three partitions waits for longer.
    batch_consumer.LOST_SECONDS, batch_consumer.REALIGN_SECONDS = BATCH_SECONDS, BATCH_SECONDS / 10
    main()

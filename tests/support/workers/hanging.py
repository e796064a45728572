"""A worker whose processors wait for a lock on a file before the brokers are asked to acknowledge, as if these never answered.

FIRSTCALL_TEST_LOCK=path python -m tests.support.workers.hanging worker
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

from deploy.cli.main import main
from streams.runtime.producer import AcknowledgedProducer

LOCK = "FIRSTCALL_TEST_LOCK"

acknowledged = AcknowledgedProducer.acknowledged


def _locked(path: Path) -> None:
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)


async def _acknowledged_under_lock(self: AcknowledgedProducer) -> None:
    await asyncio.get_running_loop().run_in_executor(None, _locked, Path(os.environ[LOCK]))
    await acknowledged(self)


if __name__ == "__main__":
    AcknowledgedProducer.acknowledged = _acknowledged_under_lock  # type: ignore[method-assign]
    main()

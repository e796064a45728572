"""A worker whose first commit of each partition is refused, as in a rebalance: `python -m tests.support.workers.refused worker`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faust.types import TP

from deploy.cli.main import main
from streams.runtime.batch_consumer import BatchConsumer

commit: Any = BatchConsumer._commit
refused: set[TP] = set()


async def _refused_at_first(self: BatchConsumer, offsets: Mapping[TP, int]) -> bool:
    if not refused.issuperset(offsets):
        refused.update(offsets)
        return False
    return bool(await commit(self, offsets))


if __name__ == "__main__":
    BatchConsumer._commit = _refused_at_first  # type: ignore[assignment, method-assign]
    main()

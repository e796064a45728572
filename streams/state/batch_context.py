"""What one batch in one partition works with."""

from __future__ import annotations

import msgspec

from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.outbox import Outbox
from streams.state.rolling_counts import RollingCounts
from streams.state.rows import Rows, Store


class BatchContext(msgspec.Struct):
    """The compiled and the state it reads, and what it says and counts. `version`: that of the key being folded."""

    compiled: CompiledDefinitions
    rows: Rows
    outbox: Outbox
    rolling: RollingCounts
    version: int = -1

    @classmethod
    def of(cls, compiled: CompiledDefinitions, store: Store) -> BatchContext:
        """A context that begins, on a partition's store."""
        return cls(compiled, Rows(store), Outbox(compiled), RollingCounts())

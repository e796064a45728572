"""What the fold of one batch in one partition works with."""

from __future__ import annotations

import msgspec

from streams.facts.compiled_definitions import CompiledDefinitions
from streams.messages.outbox import Outbox
from streams.state.rolling_counts import RollingCounts
from streams.state.rows import Rows, Store


class BatchContext(msgspec.Struct):
    """The definitions and rows that a batch reads, and what it emits. `version`: that of the owner being folded."""

    compiled: CompiledDefinitions
    rows: Rows
    outbox: Outbox
    rolling: RollingCounts
    version: int = -1

    @classmethod
    def of(cls, compiled: CompiledDefinitions, store: Store) -> BatchContext:
        """The context of a new batch on a partition's store."""
        return cls(compiled, Rows(store), Outbox(compiled), RollingCounts())

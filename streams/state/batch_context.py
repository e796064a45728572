"""What one batch in one partition works with."""

from __future__ import annotations

import msgspec

from streams.facts.compiled_definitions import Plan
from streams.messages.outbox import Outbox
from streams.state.rolling_counts import RollingCounts
from streams.state.rows import Rows, Store


class Step(msgspec.Struct):
    """The plan and the state it reads, and what it says and counts. `version`: that of the key being folded."""

    plan: Plan
    rows: Rows
    outbox: Outbox
    rolling: RollingCounts
    version: int = -1

    @classmethod
    def of(cls, plan: Plan, store: Store) -> Step:
        """A step that begins, on a partition's store."""
        return cls(plan, Rows(store), Outbox(plan), RollingCounts())

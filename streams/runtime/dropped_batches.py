"""Finds batches that were dropped between the client and their processor, and reads them again.

Faust drops messages when it suspends its flow, clears an agent's queue when it resumes, and may seek while a batch is on its
way. None of this raises an error. What was dropped shows in offsets only: the client's position, the end of what was
delivered, and the offset that the processor expects must agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from time import monotonic

from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka
from faust.types import TP

from streams.runtime.log_holes import LogHoles
from streams.runtime.partition_progress import PartitionProgress

#: How often the offsets are compared, and how long a delivered batch may be in no queue before it counts as dropped.
CHECK_SECONDS = 1.0
DROPPED_AFTER_SECONDS = 5.0


class DroppedBatches:
    """Compares the offsets of partitions, and seeks back where they disagree.

    `progress` and `delivered_to` (the end of what was delivered) are the consumer's own, by partition.
    """

    def __init__(
        self,
        consumer: aiokafka.Consumer,
        holes: LogHoles,
        progress: Mapping[TP, PartitionProgress],
        delivered_to: Mapping[TP, int | None],
    ) -> None:
        self._consumer = consumer
        self._holes = holes
        self._progress = progress
        self._delivered_to = delivered_to
        self._checked_at = monotonic()

    @property
    def is_due(self) -> bool:
        return monotonic() - self._checked_at > CHECK_SECONDS

    async def find(self, partitions: Iterable[TP], queued: AbstractSet[TP]) -> None:
        """Compare the offsets of partitions. `queued`: those that have a batch in an agent's queue."""
        self._checked_at = monotonic()
        for tp in partitions:
            position = self._delivered_to.get(tp)
            if position is not None and not self._is_dropped(tp, position, is_queued=tp in queued):
                await self._compare_with_client(tp, position)

    def undelivered(self, partitions: Iterable[TP]) -> None:
        """Read again what was fetched and not delivered: the client's own position is after it."""
        for tp in partitions:
            position, progress = self._delivered_to.get(tp), self._progress[tp]
            if position is not None and progress.reread_from is None:
                progress.reread_from = position

    async def reread(self) -> None:
        for tp, progress in list(self._progress.items()):
            if progress.reread_from is not None and self._consumer.flow_active:
                offset, progress.reread_from = progress.reread_from, None
                if tp in self._consumer.assignment():
                    await self._consumer.seek(tp, offset)

    def _is_dropped(self, tp: TP, position: int, *, is_queued: bool) -> bool:
        """Whether the processor has not accepted what was delivered, and it is in no queue. Then it was dropped.

        Faust clears an agent's queue when it resumes its flow, with everything in it by then.
        """
        progress = self._progress[tp]
        expected = position if progress.expected is None else progress.expected
        if expected >= position or is_queued:
            progress.not_accepted = None
        elif progress.not_accepted is None or progress.not_accepted[0] != expected:
            progress.not_accepted = (expected, self._checked_at)
        elif self._checked_at - progress.not_accepted[1] > DROPPED_AFTER_SECONDS:
            progress.not_accepted, progress.reread_from = (expected, self._checked_at), expected
            return True
        return False

    async def _compare_with_client(self, tp: TP, position: int) -> None:
        """Read again from `position` if the client is ahead of it, once for each pair of offsets.

        The second time, the log ends in transaction markers, which are no records.
        """
        progress = self._progress[tp]
        try:
            ahead = await self._consumer.position(tp)
        except IllegalStateError:
            # A rebalance has begun meanwhile, and another member has the partition.
            return
        if ahead is None or ahead <= position or progress.reread_from is not None:
            return
        if progress.ahead != (position, ahead):
            progress.ahead = (position, ahead)
            progress.reread_from = position
        elif not progress.delivered:
            await self._holes.skip_markers(tp, position, ahead)

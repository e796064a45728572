"""How far a partition is fetched, delivered and processed."""

from __future__ import annotations

from collections import deque

import msgspec

from streams.runtime.batch import Batch


class PartitionProgress(msgspec.Struct):
    """Offsets of a partition on its way from the log to its processor. A seek to the committed offsets resets it."""

    #: All records before it are processed; their offsets may be committed.
    processed: int | None = None
    #: The processor goes on from here: the end of the last batch that it accepted.
    expected: int | None = None
    #: A hole in the log from here on was fetched again, to find out whether records are missing.
    refetched: int | None = None
    #: A batch was dropped on its way to the processor, so the log must be read again from here.
    reread_from: int | None = None
    #: The processor has not gone on from this offset though more was delivered, and since when.
    not_accepted: tuple[int, float] | None = None
    #: The client was found ahead of what was delivered: (end of what was delivered, the client's position).
    ahead: tuple[int, int] | None = None
    #: Batches that are delivered and not processed: the end of each, and the timestamp of its first record.
    delivered: deque[tuple[int, int]] = msgspec.field(default_factory=deque)

    @property
    def has_waiting_batch(self) -> bool:
        """Whether a delivered batch is not accepted yet."""
        return bool(self.delivered) and self.expected is not None and self.delivered[-1][0] > self.expected

    @property
    def oldest_timestamp(self) -> int | None:
        """The timestamp, in ms, of the oldest record in memory that is not processed. Safe from any thread."""
        return min((timestamp for _, timestamp in list(self.delivered)), default=None)

    def finish(self, end: int) -> None:
        """All records before `end` are processed."""
        self.processed = max(self.processed or 0, end)
        while self.delivered and self.delivered[0][0] <= self.processed:
            self.delivered.popleft()

    def skip(self, end: int) -> None:
        """No record lies before `end`, and everything that was delivered is processed."""
        self.expected, self.ahead = end, None
        self.finish(end)

    def drop(self, batch: Batch) -> None:
        """The batch was dropped: read again from the offset that the processor expects, or from the batch if it is earlier."""
        known = (self.expected, self.reread_from)
        self.reread_from = min([batch.start, *(offset for offset in known if offset is not None)])

    def undeliver(self, offset: int) -> None:
        """What was delivered from `offset` on will be delivered again."""
        while self.delivered and self.delivered[-1][0] > offset:
            self.delivered.pop()

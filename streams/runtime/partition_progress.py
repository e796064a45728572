"""Where a partition stands between its log and its stage."""

from __future__ import annotations

from collections import deque

import msgspec


class PartitionProgress(msgspec.Struct):
    """Where a partition stands, in offsets. It is forgotten with every seek to the committed offsets."""

    #: Up to where its records are worked on and may be committed.
    done: int | None = None
    #: From where the stage must go on.
    following: int | None = None
    #: Where it was read again because records seemed to be missing.
    sought: int | None = None
    #: From where it must be read again because a batch was dropped on its way to the stage.
    dropped: int | None = None
    #: From where the stage has not gone on though there is more, and since when.
    waiting: tuple[int, float] | None = None
    #: Where the client was found ahead of what was delivered: (delivered to, the client's position).
    ahead: tuple[int, int] | None = None
    #: What was delivered and is not worked on: the end of each batch, and the timestamp of its first record.
    delivered: deque[tuple[int, int]] = msgspec.field(default_factory=deque)

    @property
    def waits(self) -> bool:
        """Whether something that was delivered is not taken yet."""
        return bool(self.delivered) and self.following is not None and self.delivered[-1][0] > self.following

    @property
    def oldest(self) -> int | None:
        """The timestamp, in ms, of the oldest record in hand that is not worked on. For any thread."""
        return min((timestamp for _, timestamp in list(self.delivered)), default=None)

    def finish(self, end: int) -> None:
        """All before `end` is worked on."""
        self.done = max(self.done or 0, end)
        while self.delivered and self.delivered[0][0] <= self.done:
            self.delivered.popleft()

    def skip(self, end: int) -> None:
        """There is nothing to work on before `end`, and all that was delivered is worked on."""
        self.following, self.ahead = end, None
        self.finish(end)

    def undeliver(self, offset: int) -> None:
        """What was delivered from `offset` on will be delivered again."""
        while self.delivered and self.delivered[-1][0] > offset:
            self.delivered.pop()

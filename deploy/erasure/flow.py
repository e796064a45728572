"""How far worker and sink have come, and waiting for them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from deploy.services import topics
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from streams.topology import INPUTS, ROWS, UPDATES, Topic

#: A message of the streams causes others, and these again others; no chain of causes is longer.
HOPS: Final = 8
POLL_SECONDS: Final = 0.2
#: Without any progress for so long, or any member of a group, there is no point in waiting.
STALLED_SECONDS: Final = 120.0

Ends = dict[TopicPartition, int]


class Flow:
    """The worker's and the sink's consumer groups. All methods raise DeploymentError when these do not go on, and KafkaError."""

    def __init__(self, client: KafkaAdminClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._worker, self._sink = settings.streams_id, f"{settings.streams_id}-sink"

    def check(self) -> None:
        """Whether both are there."""
        end = time.monotonic() + topics.JOINED_WITHIN_SECONDS
        while missing := [name for group, name in self._names() if not topics.members_of(self._client, group)]:
            if time.monotonic() > end:
                raise DeploymentError(
                    f"no {' and no '.join(missing)} runs, or they are still starting: erasing is done by them. Start them,"
                    " and give the same command again"
                )
            time.sleep(POLL_SECONDS)

    def sink_arrived(self) -> None:
        """Wait until all events that are in the topics by now are in ClickHouse."""
        self._await(self._sink, self._ends(INPUTS))

    def settle(self) -> None:
        """Wait until all that is in the topics by now, and all that follows from it, is folded and in ClickHouse."""
        inputs = self._ends(INPUTS)
        self._await(self._worker, inputs)
        for _ in range(HOPS):
            done = self._committed(self._worker)
            ends = self._ends(UPDATES)
            # What was done is read first, so work that moves on in between is seen as not done.
            if not _left(ends, done):
                break
            self._await(self._worker, ends)
        self._await(self._sink, inputs | self._ends(ROWS))

    def _await(self, group: str, ends: Ends) -> None:
        before, since = -1, time.monotonic()
        while left := _left(ends, self._committed(group)):
            if left != before:
                before, since = left, time.monotonic()
            elif time.monotonic() - since > STALLED_SECONDS:
                name = dict(self._names())[group]
                raise DeploymentError(
                    f"the {name} has not gone on for {STALLED_SECONDS:.0f} s, {left:,} messages before the end. See its log, and"
                    " give the same command again when it works"
                )
            time.sleep(POLL_SECONDS)

    def _ends(self, wanted: Iterable[Topic]) -> Ends:
        return topics.ends_of(self._client, [self._settings.topic(topic.name) for topic in wanted])

    def _committed(self, group: str) -> Ends:
        return topics.committed_by(self._client, group)

    def _names(self) -> tuple[tuple[str, str], ...]:
        return ((self._worker, "worker"), (self._sink, "sink"))


def _left(ends: Ends, committed: Ends) -> int:
    """How many messages before the ends are not acknowledged."""
    return sum(max(end - committed.get(partition, 0), 0) for partition, end in ends.items())

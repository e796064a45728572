"""How far worker and sink are, and waiting for them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from deploy.services import groups
from schemas.config.settings import Settings
from schemas.errors import DeploymentError
from streams.topology import INPUTS, ROWS, UPDATES, Topic

#: A message of the streams causes others, and these again others; no chain of causes is longer.
HOPS: Final = 8
POLL_SECONDS: Final = 0.2
#: A group without members or without progress for so long is not waited for any longer.
STALLED_SECONDS: Final = 120.0

Ends = dict[TopicPartition, int]


class PipelineProgress:
    """The consumer groups of worker and sink. Methods raise DeploymentError when these are stuck, and KafkaError."""

    def __init__(self, client: KafkaAdminClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._worker, self._sink = settings.streams_id, f"{settings.streams_id}-sink"

    def require_running(self) -> None:
        """Raise DeploymentError unless both run."""
        end = time.monotonic() + groups.JOINED_WITHIN_SECONDS
        while missing := [name for group, name in self._names() if not groups.members_of(self._client, group)]:
            if time.monotonic() > end:
                raise DeploymentError(
                    f"no {' and no '.join(missing)} runs, or they are still starting. Start them, and run the same"
                    " command again"
                )
            time.sleep(POLL_SECONDS)

    def await_sink(self) -> None:
        """Wait until all events that are in the topics by now are in ClickHouse."""
        self._await(self._sink, self._ends(INPUTS))

    def await_all(self) -> None:
        """Wait until all that is in the topics by now, and all that follows from it, is processed and in ClickHouse."""
        inputs = self._ends(INPUTS)
        self._await(self._worker, inputs)
        for _ in range(HOPS):
            committed = self._committed(self._worker)
            ends = self._ends(UPDATES)
            # Commits are read before ends, so work that moves on in between counts as not done.
            if not _lag(ends, committed):
                break
            self._await(self._worker, ends)
        self._await(self._sink, inputs | self._ends(ROWS))

    def _await(self, group: str, ends: Ends) -> None:
        before, since = -1, time.monotonic()
        while lag := _lag(ends, self._committed(group)):
            if lag != before:
                before, since = lag, time.monotonic()
            elif time.monotonic() - since > STALLED_SECONDS:
                name = dict(self._names())[group]
                raise DeploymentError(
                    f"the {name} has not gone on for {STALLED_SECONDS:.0f} s, {lag:,} messages before the end. See its log, and"
                    " give the same command again when it works"
                )
            time.sleep(POLL_SECONDS)

    def _ends(self, wanted: Iterable[Topic]) -> Ends:
        return groups.ends_of(self._client, [self._settings.topic(topic.name) for topic in wanted])

    def _committed(self, group: str) -> Ends:
        return groups.committed_by(self._client, group)

    def _names(self) -> tuple[tuple[str, str], ...]:
        return ((self._worker, "worker"), (self._sink, "sink"))


def _lag(ends: Ends, committed: Ends) -> int:
    """How many messages before the ends are not committed."""
    return sum(max(end - committed.get(partition, 0), 0) for partition, end in ends.items())

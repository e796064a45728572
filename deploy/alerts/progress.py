"""Until when everything that producers sent is in ClickHouse: events that are still in Kafka must not look like a drop.

An event passes several topics. When all that was in any topic at one moment is acknowledged, every event has made one step.
After as many such rounds as there are steps, every event from before the first round has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from kafka.admin import KafkaAdminClient

from deploy.services import groups

#: Inputs, alias updates, merges, developer updates, company updates, rows.
STEPS: Final = 6


class PartitionPosition(NamedTuple):
    """A partition of a topic, as a consumer group reads it."""

    group: str
    topic: str
    partition: int


class Position(NamedTuple):
    """The next offset that is not acknowledged, and the one that the next record will get."""

    acknowledged: int
    end: int


class Progress:
    """Counts the rounds. `known_until`: all that was sent before it has arrived; None until the first rounds are complete."""

    def __init__(self, steps: int = STEPS) -> None:
        self.known_until: int | None = None
        self._steps = steps
        self._began = 0
        self._rounds = 0
        self._ends: Mapping[PartitionPosition, int] | None = None

    def observe(self, now: int, positions: Mapping[PartitionPosition, Position]) -> None:
        """Receive positions, of which the acknowledged ones were read first, at `now` (milliseconds) or later."""
        if all(position.acknowledged >= position.end for position in positions.values()):
            # No event is on its way.
            self.known_until, self._ends = now, None
            return
        if self._ends is None:
            self._begin(now, positions)
        elif all(
            positions[place].acknowledged >= end if place in positions else end == 0
            for place, end in self._ends.items()
        ):
            self._rounds += 1
            if self._rounds >= self._steps:
                self.known_until = self._began
                self._begin(now, positions)
            else:
                self._ends = {place: position.end for place, position in positions.items()}

    def _begin(self, now: int, positions: Mapping[PartitionPosition, Position]) -> None:
        self._began, self._rounds = now, 0
        self._ends = {place: position.end for place, position in positions.items()}


def read_positions(client: KafkaAdminClient, consumed: Mapping[str, list[str]]) -> dict[PartitionPosition, Position]:
    """The positions of groups on the topics that they consume. Raises KafkaError."""
    acknowledged = {group: groups.committed_by(client, group) for group in consumed}
    ranges = groups.ranges_of(client, {topic for names in consumed.values() for topic in names})
    return {
        PartitionPosition(group, at.topic, at.partition): Position(max(acknowledged[group].get(at, 0), first), end)
        for group, names in consumed.items()
        for at, (first, end) in ranges.items()
        if at.topic in names
    }

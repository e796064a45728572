"""Plans a rebuild before anything is changed: which generation, from which messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kafka.admin import KafkaAdminClient

from deploy.rebuild import generations
from deploy.services import groups
from schemas.config.definitions import Definitions
from schemas.config.settings import Settings
from schemas.config.sources import is_given
from schemas.errors import DeploymentError
from sinks.clickhouse import Address, connected
from sinks.definition_rows import Recorded
from streams.topology import INPUTS, ROWS, UPDATES

_EVENT_ROWS: Final = (
    "SELECT sum(rows) FROM system.parts WHERE active AND database = {database:String} AND table = 'event_rows'"
)


@dataclass(frozen=True)
class Plan:
    """A rebuild into generation `after` while `before` is live.

    `continues`: an earlier attempt under the same definitions is continued. `abandoned`: attempts under others, to be removed.
    `messages` by input topic. `lost_before`: the first offset that a (topic, partition) holds, if it has lost its beginning.
    """

    before: int
    after: int
    live: Recorded | None
    definitions: Definitions
    continues: bool
    abandoned: tuple[int, ...]
    messages: dict[str, int]
    lost_before: dict[tuple[str, int], int] = field(default_factory=dict)
    event_rows: int = 0

    @property
    def is_unchanged(self) -> bool:
        """Whether the served numbers were made under these definitions."""
        return self.live is not None and self.live.fingerprint == self.definitions.fingerprint()

    @property
    def is_truncated(self) -> bool:
        """Whether the topics have lost messages that the served numbers were made from."""
        return bool(self.lost_before) or (self.event_rows > 0 and not sum(self.messages.values()))


def make_plan(client: KafkaAdminClient, settings: Settings, definitions: Definitions, *, elsewhere: bool) -> Plan:
    """Plan from the topics and tables there are. `elsewhere`: the settings name the generation, whose processes others run.

    Raises DeploymentError when that generation cannot be rebuilt, ClickHouseError and KafkaError.
    """
    live = generations.live_record(settings)
    before = generations.generation_of(settings, live)
    fingerprint = definitions.fingerprint()
    abandoned: list[int] = []
    if elsewhere:
        after, continues = _named(settings, before, fingerprint), True
    else:
        first = max(before + 1, settings.generation if is_given("generation") else 0)
        after, continues = first, False
        while record := generations.own_record(generations.address_of(settings, after)):
            continues = record.fingerprint == fingerprint
            if continues:
                break
            abandoned.append(after)
            after += 1
    names = [settings.topic(topic.name) for topic in INPUTS]
    ranges = groups.ranges_of(client, names)
    return Plan(
        before,
        after,
        live,
        definitions,
        continues,
        tuple(abandoned),
        {name: sum(end - first for at, (first, end) in ranges.items() if at.topic == name) for name in names},
        {(at.topic, at.partition): first for at, (first, _) in ranges.items() if first > 0},
        _event_rows(generations.address_of(settings, before)),
    )


def _named(settings: Settings, before: int, fingerprint: str) -> int:
    """The generation that the settings name. Raises DeploymentError if it is live, or made under other definitions."""
    if settings.generation <= before:
        raise DeploymentError(
            f"generation {before} is live. Run worker and sink with FIRSTCALL_GENERATION={before + 1}, and this command too"
        )
    record = generations.own_record(generations.address_of(settings, settings.generation))
    if record is not None and record.fingerprint != fingerprint:
        raise DeploymentError(
            f"generation {settings.generation} was begun under other definitions ({record.fingerprint}) than these ({fingerprint})."
            f" Use the same file, or begin another generation: FIRSTCALL_GENERATION={settings.generation + 1}"
        )
    return settings.generation


def described(plan: Plan, settings: Settings) -> Iterator[str]:
    after = generations.of_generation(settings, plan.after)
    was = plan.live.fingerprint if plan.live else "not recorded"
    yield f"Definitions: {plan.definitions.fingerprint()}; the numbers that are served were made under {was}."
    for name, messages in plan.messages.items():
        lost = sum(first for (topic, _), first in plan.lost_before.items() if topic == name)
        gone = f"; {lost:,} before them are not there any more" if lost else ", from the very first"
        yield f"Reads {messages:,} messages of {name}{gone}."
    database = Address.parse(after.clickhouse_address).database
    yield f"Writes generation {plan.after}: database {database}, {len(UPDATES) + len(ROWS)} topics {after.topic('')}..."
    served = Address.parse(settings.served_address).database
    yield f"Then the views of {served} show it, all at once. Until then they show generation {plan.before}."
    if plan.continues:
        yield "It was begun before and goes on where it was."
    for each in plan.abandoned:
        yield f"Generation {each}, begun under other definitions and never live, is removed."


def _event_rows(address: Address) -> int:
    with connected(address, database="default") as client:
        found = client.query(_EVENT_ROWS, {"database": address.database}).result_rows[0][0]
    return int(found or 0)

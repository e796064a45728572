"""Keeps random worlds apart, so that one running pipeline can take many at once.

A world is named by its seed. All its ids carry that number: no id of one is an id of another, and a difference names its
world. Ids stay as nasty as they were: equal where they were equal, as long, numbers still numbers, keys with their prefix.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final

import hypothesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st

from schemas.config.definitions import Definitions
from tests.support.reference import Record
from tests.support.worlds.builders import key_alias
from tests.support.worlds.casts import small_definitions
from tests.support.worlds.nasty import deliveries, worlds

#: Hypothesis begins with the simplest example; after some more its worlds are as nasty as they get.
EXAMPLES: Final = 12
MAX_BYTES: Final = 512

KEYS: Final = frozenset({"api_key", "apiKey"})
IDS: Final = KEYS | {
    *("message_id", "user_id", "previous_id", "company_id", "anonymous_id", "session_token"),
    *("messageId", "userId", "previousId", "groupId", "anonymousId", "sessionToken"),
}


@dataclass(frozen=True)
class World:
    """`records`: its events, as a set. `delivered`: the same in another order, some of them twice. `names`: its ids as
    they are published.
    """

    seed: int
    records: list[Record]
    delivered: list[Record]
    names: frozenset[str]


def world_of(seed: int) -> World:
    """The world of a seed, always the same one with the same version of Hypothesis."""
    drawn: list[tuple[list[Record], list[Record]]] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def draw(data: Any) -> None:
        records = data.draw(worlds(min_events=15))
        drawn.append((records, data.draw(deliveries(records))))

    draw()
    records, delivered = drawn[-1]
    names: set[str] = set()
    own, sent = ([_apart(record, seed, names) for record in each] for each in (records, delivered))
    return World(seed, own, sent, frozenset(names))


def definitions_for(seeds: range) -> Definitions:
    """`small_definitions`, its own organisation being part of each of the worlds."""
    definitions = small_definitions()
    internal = definitions.internal
    ids = {
        field: [str(named(one, seed)) for one in getattr(internal, field) for seed in seeds]
        for field in ("user_ids", "company_ids")
    }
    return definitions.model_copy(update={"internal": internal.model_copy(update=ids)})


def together(found: list[World], seed: int) -> list[Record]:
    """What the worlds deliver, mingled; each keeps its order."""
    turns = [world.seed for world in found for _ in world.delivered]
    Random(seed).shuffle(turns)
    left = {world.seed: iter(world.delivered) for world in found}
    return [next(left[turn]) for turn in turns]


def named(value: str | int, seed: int) -> str | int:
    """An id of the world."""
    if isinstance(value, int):
        return int(f"{value}{seed:05}")
    if value.isascii() and value.isdigit():
        return f"{value}{seed:05}"
    end = f"~{seed}~"
    # What is too long is refused, and stays so.
    if not value or len(value.encode()) > MAX_BYTES:
        return value
    return value.encode()[: MAX_BYTES - len(end)].decode(errors="ignore") + end


def _apart(record: Record, seed: int, names: set[str]) -> Record:
    if isinstance(record.value, bytes):
        return record
    return Record(record.topic, _named_within(record.value, seed, names), record.timestamp_ms)


def _named_within(value: Any, seed: int, names: set[str]) -> Any:
    if isinstance(value, list):
        return [_named_within(each, seed, names) for each in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for field, content in value.items():
        if field in IDS and isinstance(content, str | int):
            result[field] = named(content, seed)
            names.add(key_alias(str(result[field])) if field in KEYS else str(result[field]))
        else:
            result[field] = _named_within(content, seed, names)
    return result

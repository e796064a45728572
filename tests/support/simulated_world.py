"""A simulated population as the normaliser reads it, for the tests of what is in it."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import orjson

from deploy.simulator import DEFAULT_UNTIL, INTERNAL_DOMAIN, Population
from schemas.config.definitions import build
from schemas.event import Event
from streams.normalise.normaliser import Normaliser

DAY_MS = 86_400_000
UNTIL_MS = int(DEFAULT_UNTIL.timestamp() * 1000)


class Seen(NamedTuple):
    """One message as sent and as read. `arrived`: the latest time (ms) of any event up to it, so about when it came."""

    arrived: int
    topic: str
    raw: dict[str, Any]
    event: Event


def normaliser() -> Normaliser:
    return Normaliser(build({"internal": {"email_domains": [INTERNAL_DOMAIN]}}), [b"a secret of the tests"])


@cache
def four_hundred_developers() -> list[Seen]:
    """Sixty days of 400 developers. Fails if the normaliser refuses any of it."""
    normalise, arrived = normaliser(), 0
    seen: list[Seen] = []
    for topic, message in Population(seed=4, developers=400).messages():
        raw = orjson.loads(message)
        (event,) = normalise(message, source=raw["source"], recorded_at=UNTIL_MS)
        assert isinstance(event, Event), (event, raw)
        arrived = max(arrived, event.time)
        seen.append(Seen(arrived, topic, raw, event))
    return seen


def named(world: list[Seen], *names: str) -> list[Seen]:
    return [seen for seen in world if seen.event.name in names]


def calls(world: list[Seen]) -> list[Seen]:
    return named(world, "API Call", "Message Sent", "Connection Held")

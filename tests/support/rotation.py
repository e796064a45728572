"""Feeds records to the streams while the HMAC secret is rotated, and computes what they must publish."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from hypothesis import strategies as st

from schemas.config.definitions import Definitions
from schemas.event import Event
from streams.local import LocalRunner
from streams.normalise.normaliser import Normaliser
from tests.support.published import RowTopics
from tests.support.reference import Published, Record, Resolved, compute
from tests.support.worlds import MONDAY, SECRETS, deliveries, page_viewed, record, small_definitions, worlds
from tests.support.worlds.builders import as_bytes
from tests.support.worlds.casts import KEYS

DEFINITIONS = small_definitions()

#: Secrets in the order in which they came into use.
OLDEST, NEWER, NEWEST = SECRETS[0], b"the second secret of the tests", b"the third secret of the tests"

Secrets = tuple[bytes, ...]

#: What a deployment has configured, by the secret that names its keys.
CONFIGURATIONS: list[list[Secrets]] = [
    [(OLDEST,), (OLDEST, NEWER), (OLDEST, NEWER, NEWEST)],
    [(NEWER,), (NEWER, NEWEST)],
    [(NEWEST,)],
]
#: Configurations of which each links a key's hashes to the oldest one, alone or in two steps.
LINKING: list[list[Secrets]] = [
    [(OLDEST, NEWER), (NEWER, NEWEST)],
    [(OLDEST, NEWER, NEWEST)],
    [(OLDEST, NEWER), (OLDEST, NEWEST)],
]

#: A record, and the secrets under which it was read.
Reading = tuple[Record, Secrets]


def hashed(api_key: str, secret: bytes) -> str:
    """The key's hash under a secret."""
    return hmac.digest(secret, api_key.encode(), hashlib.sha256)[:16].hex()


@cache
def normaliser(secrets: Secrets) -> Normaliser:
    return Normaliser(DEFINITIONS, secrets)


def read_under(runner: LocalRunner, secrets: Secrets, one: Record) -> None:
    """Feed a record as a worker with these secrets would."""
    runner._normaliser = normaliser(secrets)
    value = as_bytes(one).value
    assert isinstance(value, bytes)
    runner.feed(f"{one.topic}-events", [(one.timestamp_ms, value)])


def publish(readings: Sequence[Reading], *, partitions: int = 1, batch: int = 2_000, seed: int = 0) -> Published:
    """What the streams publish of records read under changing secrets; the seed decides which processor runs when."""
    random, topics = Random(seed), RowTopics()
    runner = LocalRunner(
        DEFINITIONS, [OLDEST], topics.add, partitions=partitions, batch_size=batch, choose=random.choice
    )
    for one, secrets in readings:
        read_under(runner, secrets, one)
        for _ in range(random.randrange(4)):
            runner.run_one_batch()
    runner.run_until_idle()
    return topics.published()


def expected(
    records: Iterable[Record],
    keys: Iterable[str],
    later: Sequence[bytes] = (NEWER, NEWEST),
    definitions: Definitions = DEFINITIONS,
) -> Published:
    """What the reference computes with the oldest secret alone, and a row of identities for each later hash.

    Those lead where the first hash does; to the visitor that it stands for while nobody is known behind the key.
    """
    published = compute(records, definitions, [OLDEST])
    for key in keys:
        first = hashed(key, OLDEST)
        parents = {row[2:] for row in published.identities if row[:2] == ("api_key", first)}
        if not any(level == "developer" for level, _, _ in parents):
            parents |= {("developer", f"api_key:{first}", 0)}
        published.identities |= {("api_key", hashed(key, secret), *parent) for secret in later for parent in parents}
    return published


def under_first_hashes(published: Published, keys: Iterable[str]) -> Published:
    """The same with the aliases of events replaced by the first hash of their key."""
    first = {hashed(key, secret): hashed(key, OLDEST) for key in keys for secret in (NEWER, NEWEST)}
    rows = {
        (message_id, kind, first.get(alias, alias), developer, company, time)
        for message_id, kind, alias, developer, company, time in published.event_rows
    }
    events: dict[tuple[str, str, str], Resolved] = {}
    for (message_id, kind, alias), resolved in published.events.items():
        events.setdefault((message_id, kind, first.get(alias, alias)), resolved)
    return replace(published, event_rows=rows, events=events)


@st.composite
def rotated_worlds(draw: st.DrawFn) -> tuple[list[Record], list[str], list[Reading]]:
    """Records, the keys in them, and how the records are delivered, each read under any of the configurations.

    Every key is seen while its secrets are valid together. Copies of an event whose identity holds a hash are read
    under configurations that name keys alike.
    """
    records = draw(worlds())
    keys = [key for key in KEYS if _carries(records, hashed(key, OLDEST))]
    readings: list[Reading] = []
    for place, key in enumerate(keys):
        for step, secrets in enumerate(draw(st.sampled_from(LINKING))):
            seen = record(seen_alone(key, f"seen-{place}-{step}"))
            records.append(seen)
            readings.append((seen, secrets))
    linking = {id(one) for one, _ in readings}
    naming = _namings(records, draw(st.integers(0, 100_000)))
    random = Random(draw(st.integers(0, 100_000)))
    readings += [
        (one, random.choice(CONFIGURATIONS[naming[at]])) for at, one in enumerate(records) if id(one) not in linking
    ]
    # It shuffles whatever it is given.
    delivered: Any = draw(deliveries(readings))  # type: ignore[arg-type]
    return records, keys, delivered


def seen_alone(key: str, message_id: str) -> dict[str, Any]:
    """An event that counts for nothing and only shows that the key was there."""
    return page_viewed(MONDAY, api_key=key, message_id=message_id, context={"userAgent": "GoogleBot"})


def _events(one: Record) -> list[Event]:
    value = as_bytes(one).value
    assert isinstance(value, bytes)
    found = normaliser((OLDEST,))(value, source="api", recorded_at=one.timestamp_ms)
    return [event for event in found if isinstance(event, Event)]


def _carries(records: list[Record], alias: str) -> bool:
    return any(event.api_key == alias for one in records for event in _events(one))


def _namings(records: list[Record], seed: int) -> list[int]:
    """Which secret names the keys of each record: any, but one for all records that share an event of a key's hash."""
    group = list(range(len(records)))
    holder: dict[tuple[str, str, str], int] = {}
    for at, one in enumerate(records):
        for event in _events(one):
            # A derived id has the hash in it, whatever the alias is.
            derived = not event.message_id.startswith("m-") and event.message_id != "shared"
            if event.api_key and (derived or event.alias_kind == "api_key"):
                other = holder.setdefault((event.message_id, event.alias_kind, event.alias), at)
                joined, kept = group[at], group[other]
                group = [kept if of == joined else of for of in group]
    random = Random(seed)
    chosen = [random.randrange(len(CONFIGURATIONS)) for _ in records]
    return [chosen[of] for of in group]

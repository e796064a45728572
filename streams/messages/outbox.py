"""The output of one batch: updates to other processors, combined to one message a key, and rows to publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import orjson

from schemas.event import AliasKind
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.facts.facts import Facts, join
from streams.messages.updates import (
    Alias,
    AliasLinks,
    AliasUpdate,
    Bucket,
    CompanyUpdate,
    Contribution,
    DeveloperUpdate,
    FirstHash,
    HeldEvent,
    InternalFlag,
    KeyParents,
    Link,
    Member,
    Pointer,
    Root,
    SameKey,
    encode,
)
from streams.topology import ALIAS_UPDATES, COMPANY_UPDATES, DEVELOPER_UPDATES, MERGES

#: Facts take up to about 2 KB where a hundred moments are counted; Kafka refuses messages of more than 1 MB by default.
ENTRIES_IN_A_MESSAGE: Final = 200


#: (explicit user, explicit company, whether a web alias holds the events too).
BucketKey = tuple[str, str, bool]


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message to a topic, named without the deployment's prefix. The key decides the partition."""

    topic: str
    key: bytes
    value: bytes


class PublishedRow(msgspec.Struct, frozen=True, gc=False):
    """A row for ClickHouse: its topic, its key (what upserts replace), its columns."""

    topic: str
    key: str
    columns: dict[str, Any]


class _AliasOutput(msgspec.Struct):
    users: set[Link] = msgspec.field(default_factory=set)
    companies: set[Link] = msgspec.field(default_factory=set)
    events: list[HeldEvent] = []
    buckets: dict[BucketKey, Facts] = {}
    internal_flags: list[InternalFlag] = []
    same_key: set[SameKey] = msgspec.field(default_factory=set)
    first_hashes: list[FirstHash] = []
    devices: dict[str, int] = {}
    subscribers: set[Alias] = msgspec.field(default_factory=set)
    alias_links: list[AliasLinks] = []
    key_parents: list[KeyParents] = []
    contributions: list[Contribution] = []
    is_lone: bool = False


class _DeveloperOutput(msgspec.Struct):
    own: dict[str, Facts] = {}
    companies: set[Link] = msgspec.field(default_factory=set)
    contributions: list[Contribution] = []
    members: list[Member] = []
    roots: list[Root] = []
    internal_flags: list[InternalFlag] = []


class Outbox:
    """Collects updates and rows; `messages` returns them all. A later row replaces an earlier one of the same key."""

    def __init__(self, compiled: CompiledDefinitions) -> None:
        self._compiled = compiled
        self._aliases: dict[tuple[AliasKind, str], _AliasOutput] = {}
        self._developers: dict[str, _DeveloperOutput] = {}
        self._companies: dict[str, list[Contribution]] = {}
        self._pointers: dict[tuple[str, int, str], Pointer] = {}
        self._rows: dict[tuple[str, str], PublishedRow] = {}

    def alias(self, kind: AliasKind, alias: str) -> _AliasOutput:
        """The collected update of an alias."""
        found = self._aliases.get((kind, alias))
        if found is None:
            found = self._aliases[kind, alias] = _AliasOutput()
        return found

    def developer(self, user: str) -> _DeveloperOutput:
        """The collected update of a user id."""
        found = self._developers.get(user)
        if found is None:
            found = self._developers[user] = _DeveloperOutput()
        return found

    def company(self, company: str, contribution: Contribution) -> None:
        """Collect a contribution to a company."""
        self._companies.setdefault(company, []).append(contribution)

    def pointer(self, pointer: Pointer) -> None:
        """Collect evidence of a merge."""
        self._pointers[pointer.previous, pointer.time, pointer.target] = pointer

    def join_bucket(self, buckets: dict[Any, Facts], key: Any, facts: Facts) -> None:
        """Join facts into a collected delta."""
        known = buckets.get(key)
        buckets[key] = facts if known is None else join(known, facts, self._compiled.cuts)

    def publish(self, row: PublishedRow) -> None:
        """Publish a row."""
        self._rows[row.topic, row.key] = row

    def messages(self) -> Iterator[Message]:
        """All that was collected, one message per owner, several if the update is large."""
        for (kind, alias), output in self._aliases.items():
            for pieces in _pieces(
                sorted(output.users),
                sorted(output.companies),
                output.events,
                [Bucket(*key, facts) for key, facts in output.buckets.items()],
                output.internal_flags,
                sorted(output.same_key),
                output.first_hashes,
                sorted((time, device) for device, time in output.devices.items()),
                sorted(output.subscribers),
                output.alias_links,
                output.key_parents,
                output.contributions,
                least=int(output.is_lone),
            ):
                update = msgspec.structs.replace(AliasUpdate(kind, alias, *pieces), is_lone=output.is_lone)
                yield Message(ALIAS_UPDATES, f"{kind}:{alias}".encode(), encode(update))
        for user, developer in self._developers.items():
            own, companies = list(developer.own.items()), sorted(developer.companies)
            for pieces in _pieces(
                own, companies, developer.contributions, developer.members, developer.roots, developer.internal_flags
            ):
                yield Message(DEVELOPER_UPDATES, user.encode(), encode(DeveloperUpdate(user, *pieces)))
        for company, contributions in self._companies.items():
            for (piece,) in _pieces(contributions):
                yield Message(COMPANY_UPDATES, company.encode(), encode(CompanyUpdate(company, piece)))
        for pointer in self._pointers.values():
            yield Message(MERGES, b"", encode(pointer))
        for row in self._rows.values():
            yield Message(row.topic, row.key.encode(), orjson.dumps(row.columns))


def _pieces(*lists: list[Any], least: int = 0) -> Iterator[tuple[Any, ...]]:
    """The lists side by side, in pieces of at most `ENTRIES_IN_A_MESSAGE` entries of each; `least` pieces, even if empty."""
    longest = max(least, *(len(one) for one in lists))
    if 0 < longest <= ENTRIES_IN_A_MESSAGE:
        yield lists
        return
    for start in range(0, longest, ENTRIES_IN_A_MESSAGE):
        yield tuple(entries[start : start + ENTRIES_IN_A_MESSAGE] for entries in lists)

"""What a batch has to say: updates to other levels, combined to one message a key, and rows to publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import orjson

from schemas.event import AliasKind
from streams.facts.compiled_definitions import CompiledDefinitions, Observation
from streams.facts.facts import Facts, join
from streams.messages.updates import (
    AliasUpdate,
    Bucket,
    CompanyUpdate,
    Contribution,
    DeveloperUpdate,
    FirstHash,
    InternalFlag,
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


class _Alias(msgspec.Struct):
    users: set[Link] = msgspec.field(default_factory=set)
    companies: set[Link] = msgspec.field(default_factory=set)
    events: list[tuple[str, Observation]] = []
    buckets: dict[tuple[str, str], Facts] = {}
    internal_flags: list[InternalFlag] = []
    same_key: set[SameKey] = msgspec.field(default_factory=set)
    first_hashes: list[FirstHash] = []


class _Developer(msgspec.Struct):
    own: dict[str, Facts] = {}
    companies: set[Link] = msgspec.field(default_factory=set)
    children: list[Contribution] = []
    members: list[Member] = []
    roots: list[Root] = []
    internal_flags: list[InternalFlag] = []


class Outbox:
    """Collects; `messages` gives it all, one message per key. A later row of the same key replaces an earlier one."""

    def __init__(self, compiled: CompiledDefinitions) -> None:
        self._plan = compiled
        self._aliases: dict[tuple[AliasKind, str], _Alias] = {}
        self._developers: dict[str, _Developer] = {}
        self._companies: dict[str, list[Contribution]] = {}
        self._pointers: dict[tuple[str, int, str], Pointer] = {}
        self._rows: dict[tuple[str, str], PublishedRow] = {}

    def alias(self, kind: AliasKind, alias: str) -> _Alias:
        """What is to be told to the owner of an alias."""
        found = self._aliases.get((kind, alias))
        if found is None:
            found = self._aliases[kind, alias] = _Alias()
        return found

    def developer(self, user: str) -> _Developer:
        """What is to be told to the owner of a user id."""
        found = self._developers.get(user)
        if found is None:
            found = self._developers[user] = _Developer()
        return found

    def company(self, company: str, child: Contribution) -> None:
        """Tell the owner of a company."""
        self._companies.setdefault(company, []).append(child)

    def pointer(self, pointer: Pointer) -> None:
        """Tell the owner of the merges."""
        self._pointers[pointer.previous, pointer.time, pointer.target] = pointer

    def join_bucket(self, buckets: dict[Any, Facts], key: Any, facts: Facts) -> None:
        """Join facts into a collected delta."""
        known = buckets.get(key)
        buckets[key] = facts if known is None else join(known, facts, self._plan.cuts)

    def publish(self, row: PublishedRow) -> None:
        """Publish a row."""
        self._rows[row.topic, row.key] = row

    def messages(self) -> Iterator[Message]:
        """All that was collected; an owner that is told a lot gets several messages."""
        for (kind, alias), told in self._aliases.items():
            buckets = [Bucket(user, company, facts) for (user, company), facts in told.buckets.items()]
            links, same = (sorted(told.users), sorted(told.companies)), sorted(told.same_key)
            for pieces in _pieces(*links, told.events, buckets, told.internal_flags, same, told.first_hashes):
                yield Message(ALIAS_UPDATES, f"{kind}:{alias}".encode(), encode(AliasUpdate(kind, alias, *pieces)))
        for user, to_user in self._developers.items():
            own, companies = list(to_user.own.items()), sorted(to_user.companies)
            for pieces in _pieces(
                own, companies, to_user.children, to_user.members, to_user.roots, to_user.internal_flags
            ):
                yield Message(DEVELOPER_UPDATES, user.encode(), encode(DeveloperUpdate(user, *pieces)))
        for company, words in self._companies.items():
            for (children,) in _pieces(words):
                yield Message(COMPANY_UPDATES, company.encode(), encode(CompanyUpdate(company, children)))
        for pointer in self._pointers.values():
            yield Message(MERGES, b"", encode(pointer))
        for row in self._rows.values():
            yield Message(row.topic, row.key.encode(), orjson.dumps(row.columns))


def _pieces(*lists: list[Any]) -> Iterator[tuple[Any, ...]]:
    """The lists side by side, in pieces of at most `ENTRIES_IN_A_MESSAGE` entries of each."""
    for start in range(0, max(map(len, lists)), ENTRIES_IN_A_MESSAGE):
        yield tuple(entries[start : start + ENTRIES_IN_A_MESSAGE] for entries in lists)

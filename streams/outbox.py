"""What a batch has to say: updates to other levels, combined to one message a key, and rows to publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson

from schemas.event import AliasKind
from streams.facts import Facts, join
from streams.plan import Observation, Plan
from streams.topology import ALIAS_UPDATES, COMPANY_UPDATES, DEVELOPER_UPDATES, MERGES
from streams.updates import (
    AliasUpdate,
    Bucket,
    Child,
    CompanyUpdate,
    DeveloperUpdate,
    InternalUser,
    Link,
    Member,
    Pointer,
    Root,
    RootInternal,
    encode,
)


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
    internal_users: list[InternalUser] = []


class _Developer(msgspec.Struct):
    own: dict[str, Facts] = {}
    companies: set[Link] = msgspec.field(default_factory=set)
    children: list[Child] = []
    members: list[Member] = []
    roots: list[Root] = []
    root_internal: list[RootInternal] = []


class Outbox:
    """Collects; `messages` gives it all, one message per key. A later row of the same key replaces an earlier one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._aliases: dict[tuple[AliasKind, str], _Alias] = {}
        self._developers: dict[str, _Developer] = {}
        self._companies: dict[str, list[Child]] = {}
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

    def company(self, company: str, child: Child) -> None:
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
        """All that was collected."""
        for (kind, alias), to_alias in self._aliases.items():
            update = AliasUpdate(
                kind,
                alias,
                sorted(to_alias.users),
                sorted(to_alias.companies),
                to_alias.events,
                [Bucket(user, company, facts) for (user, company), facts in to_alias.buckets.items()],
                to_alias.internal_users,
            )
            yield Message(ALIAS_UPDATES, f"{kind}:{alias}".encode(), encode(update))
        for user, to_developer in self._developers.items():
            yield Message(
                DEVELOPER_UPDATES,
                user.encode(),
                encode(
                    DeveloperUpdate(
                        user,
                        list(to_developer.own.items()),
                        sorted(to_developer.companies),
                        to_developer.children,
                        to_developer.members,
                        to_developer.roots,
                        to_developer.root_internal,
                    )
                ),
            )
        for company, children in self._companies.items():
            yield Message(COMPANY_UPDATES, company.encode(), encode(CompanyUpdate(company, children)))
        for pointer in self._pointers.values():
            yield Message(MERGES, b"", encode(pointer))
        for row in self._rows.values():
            yield Message(row.topic, row.key.encode(), orjson.dumps(row.columns))

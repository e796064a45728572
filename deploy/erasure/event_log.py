"""The events that have arrived, as ClickHouse has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from deploy.erasure.statements import Statements, by_kind, parcels
from schemas.event import AliasKind, Event
from streams.messages.updates import Alias

#: The kinds of the columns of `named_with_company`; the last one is the previous id of a merge.
_OTHERS: tuple[AliasKind, ...] = ("api_key", "session_token", "anonymous_id", "anonymous_id")


class ArrivedEvents:
    """`streams.erasure.plan.EventLog` over event_rows.

    Suppressed events are among them until they are deleted, which is the last step of an erasure: so it can be planned
    again after an interruption. Copies of an event may be among them too. Raises ClickHouseError.
    """

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def pointers(self) -> Iterable[tuple[str, int, str]]:
        yield from self._statements.stream("pointers")

    def aliases_of_users(self, users: set[str]) -> Iterable[Alias]:
        for some in parcels(sorted(users)):
            yield from self._statements.stream("aliases_of_users", {"users": some})

    def users_of_aliases(self, aliases: set[Alias]) -> Iterable[tuple[Alias, int, str]]:
        for some in parcels(sorted(aliases)):
            for kind, alias, time, user in self._statements.stream("users_of_aliases", by_kind(some)):
                yield (kind, alias), time, user

    def seen_with(self, aliases: set[Alias]) -> Iterable[tuple[Alias, Alias]]:
        for some in parcels(sorted(aliases)):
            for kind, alias, other_kind, other in self._statements.stream("seen_with", by_kind(some)):
                yield (kind, alias), (other_kind, other)

    def devices_of(self, sessions: set[str]) -> Iterable[tuple[str, int, str]]:
        for some in parcels(sorted(sessions)):
            yield from self._statements.stream("devices_of", {"sessions": some})

    def same_keys(self, hashes: set[str]) -> Iterable[tuple[str, str]]:
        for some in parcels(sorted(hashes)):
            yield from self._statements.stream("same_keys", {"keys": some})

    def keys_named_with(self, company: str) -> Iterable[str]:
        for (key,) in self._statements.stream("keys_named_with", {"company": company}):
            yield key

    def companies_of_keys(self, keys: set[str]) -> Iterable[tuple[str, int, str]]:
        for some in parcels(sorted(keys)):
            yield from self._statements.stream("companies_of_keys", {"keys": some})

    def named_with_company(self, company: str, keys: set[str]) -> Iterable[tuple[str, list[Alias]]]:
        # The events that name the company are read once, however many keys there are.
        for named, some in [(company, []), *(("", some) for some in parcels(sorted(keys)))]:
            for user, *others in self._statements.stream("named_with_company", {"company": named, "keys": some}):
                yield user, [(kind, alias) for kind, alias in zip(_OTHERS, others, strict=True) if alias]

    def companies_named(self, users: set[str], aliases: set[Alias]) -> Iterable[str]:
        for some in parcels(_pairs(users, aliases)):
            for (company,) in self._statements.stream("companies_named", by_kind(some)):
                yield company

    def carrying(self, users: set[str], aliases: set[Alias], company: str = "") -> Iterator[Event]:
        given: list[tuple[str, list[tuple[str, str]]]] = [(company, [])] if company else []
        for named, some in [*given, *(("", some) for some in parcels(_pairs(users, aliases)))]:
            for row in self._statements.stream("carrying", {**by_kind(some), "company": named}):
                yield _event(*row)


def _pairs(users: set[str], aliases: set[Alias]) -> list[tuple[str, str]]:
    return [*(("user_id", user) for user in sorted(users)), *sorted(aliases)]


def _event(*columns: Any) -> Event:
    """The event that a row was written from."""
    return Event(*columns[:13], *map(orjson.loads, columns[13:16]), *map(bool, columns[16:]))

"""Erasing a person or a company: what is void from now on, and how the streams' state comes to be as if it never was.

Facts only join, so nothing can be taken out of them. Instead whoever holds anything of a void event forgets everything,
and hears again what the events that remain say. That is exact, as joining is idempotent: others hear what they know.

- Void are, of a person, the events that name any id of it, and those of its aliases in the periods that are its own; of
  a company, those that name it, and those of its API keys that name no other. They are so up to the time of the
  request, or of the latest such event that has arrived: later ones start anew.
- Forgotten are the users that void events name, with everyone merged with them, and the aliases of all of these.
- Tidied are those that only remember that someone has gone.

`deploy/erasure` does it on a running deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

import msgspec

from schemas.config.definitions import Level, Limits
from schemas.event import AliasKind, Event
from streams.facts.compiled_definitions import CompiledDefinitions
from streams.identity.merges import canonical
from streams.identity.route import route
from streams.identity.web_aliases import is_crowded, join_links, segments
from streams.messages.outbox import Message, Outbox
from streams.messages.updates import AliasUpdate, CompanyUpdate, DeveloperUpdate, Link, Pointer, encode
from streams.normalise.suppression_list import MarkKind, Period, Suppression, SuppressionList, digest_of, name_of
from streams.topology import ALIAS_UPDATES, COMPANY_UPDATES, DEVELOPER_UPDATES, MERGES

Alias = tuple[AliasKind, str]

#: After all times of events.
_EVER: Final = 2**62


class Request(msgspec.Struct, frozen=True):
    """Who is to be erased: a user id or a company id. `at`: when that was asked for (ms)."""

    level: Level
    id: str
    at: int


class EventLog(Protocol):
    """The events that have arrived, void ones left out. An id that is '' is none."""

    def pointers(self) -> Iterable[tuple[str, int, str]]:
        """Every merge of two users, as (previous, time, target)."""

    def aliases_of_users(self, users: set[str]) -> Iterable[Alias]:
        """The other identifiers on events that name any of the users."""

    def users_of_aliases(self, aliases: set[Alias]) -> Iterable[tuple[Alias, int, str]]:
        """The evidence of users behind aliases: (alias, time, user)."""

    def same_keys(self, hashes: set[str]) -> Iterable[tuple[str, str]]:
        """All hashes of these API keys, each with the key's first one; keys of one hash may be left out."""

    def keys_named_with(self, company: str) -> Iterable[str]:
        """The API keys on events that name the company."""

    def companies_of_keys(self, keys: set[str]) -> Iterable[tuple[str, int, str]]:
        """The evidence of companies behind API keys: (key, time, company), at least the earliest of each company."""

    def named_with_company(self, company: str, keys: set[str]) -> Iterable[tuple[str, list[Alias]]]:
        """(user id, other aliases) on events that name the company, or one of the keys and no company."""

    def companies_named(self, users: set[str], aliases: set[Alias]) -> Iterable[str]:
        """The companies on events that carry any of these."""

    def carrying(self, users: set[str], aliases: set[Alias], company: str = "") -> Iterator[Event]:
        """All events that carry any of these, a user also as one merged away."""


class Erasure(msgspec.Struct, frozen=True):
    """What an erasure comes to. `companies`, `others` (users): to tidy."""

    marks: list[Suppression]
    users: set[str]
    aliases: set[Alias]
    companies: set[str]
    others: set[str]


class _Pointers:
    """Who leads to whom by the latest evidence."""

    def __init__(self, evidence: Iterable[tuple[str, int, str]]) -> None:
        self.all = list(evidence)
        self._latest: dict[str, Link] = {}
        for previous, time, target in self.all:
            self._latest[previous] = max((time, target), self._latest.get(previous, (time, target)))
        self._canonical = {user: self.canonical(user) for user in self._latest}

    def canonical(self, user: str) -> str:
        return canonical(lambda one: self._latest[one][1] if one in self._latest else None, user)

    def one_with(self, users: Iterable[str]) -> set[str]:
        """The users and everyone who is the same developer as one of them."""
        given = set(users)
        developers = {self.canonical(user) for user in given}
        return given | developers | {user for user, root in self._canonical.items() if root in developers}


class _FirstHashes:
    """Which hashes are of one API key, as far as was asked."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._first: dict[str, str] = {}

    def all_hashes(self, aliases: Iterable[Alias]) -> set[Alias]:
        """The aliases, and the other hashes of those that are keys."""
        given = set(aliases)
        keys = {alias for kind, alias in given if kind == "api_key"}
        self._first.update(self._log.same_keys(keys))
        firsts = {self._first.get(key, key) for key in keys}
        return given | {("api_key", key) for key, first in self._first.items() if first in firsts}

    def of(self, alias: Alias) -> Alias:
        """The alias that stands for all hashes of its key."""
        return alias[0], self._first.get(alias[1], alias[1]) if alias[0] == "api_key" else alias[1]


def plan_erasure(request: Request, log: EventLog, secret: bytes, limits: Limits) -> Erasure:
    """What is to be done, by the events that have arrived."""
    pointers = _Pointers(log.pointers())
    if request.level == "developer":
        return _of_person(request, log, pointers, secret, limits)
    return _of_company(request, log, pointers, secret)


def _of_person(request: Request, log: EventLog, pointers: _Pointers, secret: bytes, limits: Limits) -> Erasure:
    erased = pointers.one_with([request.id])
    first = _FirstHashes(log)
    # A merge names two: the other one heard of it too.
    users = pointers.one_with(erased | {target for previous, _, target in pointers.all if previous in erased})
    aliases = first.all_hashes(log.aliases_of_users(users))
    own = first.all_hashes(log.aliases_of_users(erased))
    marks = [_mark(secret, "user_id", user, [(0, _EVER)]) for user in sorted(erased)]
    evidence: dict[Alias, list[Link]] = {first.of(alias): [] for alias in own}
    for alias, time, user in log.users_of_aliases(own):
        evidence[first.of(alias)].append((time, user))
    for kind, identifier in sorted(own):
        links = evidence[first.of((kind, identifier))]
        periods = _periods_of_key(links, erased) if kind == "api_key" else _periods(links, erased, limits)
        if periods:
            marks.append(_mark(secret, kind, identifier, periods))
    marks = _ended(marks, request, secret, log.carrying(erased, own))
    return _erasure(log, marks, users, aliases)


def _of_company(request: Request, log: EventLog, pointers: _Pointers, secret: bytes) -> Erasure:
    first = _FirstHashes(log)
    aliases = first.all_hashes(("api_key", key) for key in log.keys_named_with(request.id))
    earliest: dict[Alias, Link] = {}
    for key, time, company in log.companies_of_keys({key for _, key in aliases}):
        alias = first.of(("api_key", key))
        earliest[alias] = min((time, company), earliest.get(alias, (time, company)))
    keys = {key for kind, key in aliases if earliest[first.of((kind, key))][1] == request.id}
    named: set[str] = set()
    for user, others in log.named_with_company(request.id, keys):
        if user:
            named.add(user)
        aliases.update(others)
    users = pointers.one_with(named)
    marks = [_mark(secret, "company_id", request.id, [(0, _EVER)])]
    marks += [_mark(secret, "company_key", key, [(0, _EVER)]) for key in sorted(keys)]
    marks = _ended(marks, request, secret, log.carrying(set(), {("api_key", key) for key in keys}, request.id))
    aliases = first.all_hashes(aliases | set(log.aliases_of_users(users)))
    erasure = _erasure(log, marks, users, aliases)
    erasure.companies.add(request.id)
    return erasure


def _erasure(log: EventLog, marks: list[Suppression], users: set[str], aliases: set[Alias]) -> Erasure:
    others = users | {user for _, _, user in log.users_of_aliases(aliases)}
    return Erasure(marks, users, aliases, set(log.companies_named(others, aliases)), others)


def _mark(secret: bytes, kind: MarkKind, identifier: str, periods: list[Period]) -> Suppression:
    return Suppression(kind, digest_of(secret, kind, identifier), periods, name_of(secret))


def _ended(marks: list[Suppression], request: Request, secret: bytes, events: Iterable[Event]) -> list[Suppression]:
    """The marks up to the request, or the latest event that is void by them."""
    erased = SuppressionList([secret], marks)
    until = 1 + max([request.at, *(event.time for event in events if erased.cover(event))])
    return [
        msgspec.structs.replace(
            mark, periods=[(since, min(end, until)) for since, end in mark.periods if since < until]
        )
        for mark in marks
    ]


def _periods_of_key(links: list[Link], erased: set[str]) -> list[Period]:
    """A key is its first owner's for its whole history."""
    return [(0, _EVER)] if links and min(links)[1] in erased else []


def _periods(links: list[Link], erased: set[str], limits: Limits) -> list[Period]:
    """When a web alias belonged to one of the users: from each of their links to the next one of somebody else."""
    joined = join_links({}, links)
    if is_crowded(limits, joined):
        return []
    points = segments(joined)
    periods: list[Period] = []
    for i, (time, user) in enumerate(points):
        since = time if i else 0
        end = points[i + 1][0] if i + 1 < len(points) else _EVER
        if user in erased and since < end:
            periods.append((since, end))
    return periods


def forgetting(erasure: Erasure) -> list[Message]:
    """The orders to forget, to be folded before what `retelling` gives."""
    orders = [
        Message(ALIAS_UPDATES, f"{kind}:{alias}".encode(), encode(AliasUpdate(kind, alias, order="forget")))
        for kind, alias in sorted(erasure.aliases)
    ]
    orders += [
        Message(DEVELOPER_UPDATES, user.encode(), encode(DeveloperUpdate(user, order="forget")))
        for user in sorted(erasure.users)
    ]
    return orders + [Message(MERGES, b"", encode(Pointer(user, 0, "", "forget"))) for user in sorted(erasure.users)]


def retelling(compiled: CompiledDefinitions, events: Iterable[Event]) -> list[Message]:
    """What the remaining events say, as `normalise_events` says it."""
    outbox = Outbox(compiled)
    route(compiled, events, outbox)
    return list(outbox.messages())


def tidying(erasure: Erasure) -> list[Message]:
    """The orders to tidy, for when all is folded that the others came to."""
    orders = [
        Message(DEVELOPER_UPDATES, user.encode(), encode(DeveloperUpdate(user, order="tidy")))
        for user in sorted(erasure.others)
    ]
    return orders + [
        Message(COMPANY_UPDATES, company.encode(), encode(CompanyUpdate(company, order="tidy")))
        for company in sorted(erasure.companies)
    ]

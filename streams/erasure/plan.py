"""Plans an erasure: which events it suppresses, and whose state must be dropped.

Facts only join, so nothing can be taken out of them. Instead the state of every owner with facts of a suppressed event is
dropped, and the remaining events of these owners are fed again (`orders.py`). That is exact, since joining is idempotent:
other owners join what they have already.

- Of a person, the events are suppressed that name any of its ids, and those that belong to it by an alias: by its API key, by
  a session or device in the periods that it owned. A stronger identifier that leads to somebody else exempts an event.
- Of a company, the events are suppressed that name it, and those of its API keys that name no other company.
- Both up to the time of the request, or of the latest such event that has arrived. Later events count again.
- Dropped are the users that suppressed events name, everyone merged with them, the aliases of all of these, and what else
  was seen with such an alias.
- Pruned are the owners that only record that a dropped one has left.

`deploy/erasure` carries it out on a running deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from schemas.config.definitions import Level, Limits
from schemas.event import AliasKind, Event
from streams.identity.merges import canonical
from streams.identity.ownership import is_crowded, join_links, ownership_intervals
from streams.messages.updates import Alias, Link
from streams.normalise.suppression_list import Period, SuppressedKind, Suppression, SuppressionList, digest_of, name_of

#: Identifiers from the strongest to the weakest.
_RANK: Final[dict[AliasKind, int]] = {"api_key": 0, "session_token": 1, "anonymous_id": 2}

#: After all times of events.
_EVER: Final = 2**62


class Request(msgspec.Struct, frozen=True):
    """Who is to be erased: a user id or a company id. `at`: when that was asked for (ms)."""

    level: Level
    id: str
    at: int


class EventLog(Protocol):
    """The events that have arrived, without suppressed ones. An id '' is none."""

    def pointers(self) -> Iterable[tuple[str, int, str]]:
        """Every merge of two users, as (previous, time, target)."""

    def aliases_of_users(self, users: set[str]) -> Iterable[Alias]:
        """The other identifiers on events that name any of the users. The previous id of a merge is a device too."""

    def users_of_aliases(self, aliases: set[Alias]) -> Iterable[tuple[Alias, int, str]]:
        """The evidence of users behind aliases: (alias, time, user)."""

    def seen_with(self, aliases: set[Alias]) -> Iterable[tuple[Alias, Alias]]:
        """The other identifiers on events that carry any of the aliases: (alias, other)."""

    def devices_of(self, sessions: set[str]) -> Iterable[tuple[str, int, str]]:
        """The devices that sessions were seen with: (session token, earliest time, anonymous id)."""

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
    """A planned erasure. `users`, `aliases`: to drop. `companies`, `others` (users): to prune."""

    suppressions: list[Suppression]
    users: set[str]
    aliases: set[Alias]
    companies: set[str]
    others: set[str]


class _Pointers:
    """The merges: where each user points by the latest evidence."""

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
    """The hashes of API keys, as far as they were asked for."""

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
    """The erasure, by the events that have arrived."""
    pointers = _Pointers(log.pointers())
    if request.level == "developer":
        return _of_person(request, log, pointers, secret, limits)
    return _of_company(request, log, pointers, secret)


def _of_person(request: Request, log: EventLog, pointers: _Pointers, secret: bytes, limits: Limits) -> Erasure:
    erased = pointers.one_with([request.id])
    first = _FirstHashes(log)
    # A merge is evidence about its target too.
    users = pointers.one_with(erased | {target for previous, _, target in pointers.all if previous in erased})
    named = set(log.aliases_of_users(users))
    aliases = _Aliases(log, first, first.all_hashes(log.aliases_of_users(erased)), limits)
    suppressions = [_suppression(secret, "user_id", user, [(0, _EVER)]) for user in sorted(erased)]
    suppressions += aliases.suppressions(erased, secret)
    suppressions = _ended(suppressions, request, secret, log.carrying(erased, aliases.own))
    return _erasure(log, suppressions, users, first.all_hashes(named | aliases.concerned))


class _Aliases:
    """Who owns the aliases of a person, and those that were seen with them. `own`: with sessions of its devices."""

    def __init__(self, log: EventLog, first: _FirstHashes, named: set[Alias], limits: Limits) -> None:
        self._first = first
        #: (alias, other) that were seen together, by alias.
        self._with: dict[Alias, set[Alias]] = {}
        self._see(log, named)
        sessions = {alias for kind, alias in named | self._others(named) if kind == "session_token"}
        devices: dict[str, Link] = {}
        for session, time, device in log.devices_of(sessions):
            devices[session] = min((time, device), devices.get(session, (time, device)))
        #: The device of each session.
        self._device_of = {session: device for session, (_, device) in devices.items()}
        of_devices: set[Alias] = {
            ("session_token", session)
            for session, device in self._device_of.items()
            if ("anonymous_id", device) in named
        }
        self.own = named | of_devices
        self._see(log, of_devices - named)
        self.concerned = self.own | self._others(self.own)
        evidence: dict[Alias, list[Link]] = {}
        for alias, time, user in log.users_of_aliases(first.all_hashes(self.concerned)):
            evidence.setdefault(first.of(alias), []).append((time, user))
        #: Ownership intervals of web aliases, the owner of API keys for ever; none of what leads to nobody.
        self._intervals = {
            alias: [(0, min(links)[1])] if alias[0] == "api_key" else _intervals(links, limits)
            for alias, links in evidence.items()
        }

    def suppressions(self, erased: set[str], secret: bytes) -> list[Suppression]:
        """The suppressions of a person's events that name no user."""
        found = []
        kind: AliasKind
        for kind, identifier in sorted(self.own):
            alias = (kind, identifier)
            intervals = self._of(alias)
            suppressed: SuppressedKind = kind
            if kind == "session_token" and not intervals and identifier in self._device_of:
                intervals = self._of(("anonymous_id", self._device_of[identifier]))
                suppressed = "lone_session"
            periods = _periods(intervals, erased)
            if periods:
                exempt = sorted(
                    digest_of(secret, *other)
                    for other in self._with.get(alias, ())
                    if _RANK[other[0]] < _RANK[kind] and any(user not in erased for _, user in self._of(other))
                )
                found.append(_suppression(secret, suppressed, identifier, periods, exempt))
        return found

    def _of(self, alias: Alias) -> list[Link]:
        return self._intervals.get(self._first.of(alias), [])

    def _others(self, aliases: set[Alias]) -> set[Alias]:
        return {other for alias in aliases for other in self._with.get(alias, ())}

    def _see(self, log: EventLog, aliases: set[Alias]) -> None:
        for alias, other in log.seen_with(aliases):
            self._with.setdefault(alias, set()).add(other)


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
    suppressions = [_suppression(secret, "company_id", request.id, [(0, _EVER)])]
    suppressions += [_suppression(secret, "company_key", key, [(0, _EVER)]) for key in sorted(keys)]
    suppressions = _ended(
        suppressions, request, secret, log.carrying(set(), {("api_key", key) for key in keys}, request.id)
    )
    aliases = first.all_hashes(aliases | set(log.aliases_of_users(users)))
    aliases |= first.all_hashes({other for _, other in log.seen_with(aliases)})
    erasure = _erasure(log, suppressions, users, aliases)
    erasure.companies.add(request.id)
    return erasure


def _erasure(log: EventLog, suppressions: list[Suppression], users: set[str], aliases: set[Alias]) -> Erasure:
    others = users | {user for _, _, user in log.users_of_aliases(aliases)}
    return Erasure(suppressions, users, aliases, set(log.companies_named(others, aliases)), others)


def _suppression(
    secret: bytes, kind: SuppressedKind, identifier: str, periods: list[Period], exempt: Sequence[str] = ()
) -> Suppression:
    return Suppression(kind, digest_of(secret, kind, identifier), periods, name_of(secret), list(exempt))


def _ended(
    suppressions: list[Suppression], request: Request, secret: bytes, events: Iterable[Event]
) -> list[Suppression]:
    """The suppressions up to the request, or to the latest event that they suppress."""
    erased = SuppressionList([secret], suppressions)
    until = 1 + max([request.at, *(event.time for event in events if erased.suppresses(event))])
    return [
        msgspec.structs.replace(one, periods=[(since, min(end, until)) for since, end in one.periods if since < until])
        for one in suppressions
    ]


def _intervals(links: list[Link], limits: Limits) -> list[Link]:
    joined = join_links({}, links)
    return [] if is_crowded(limits, joined) else ownership_intervals(joined)


def _periods(intervals: list[Link], erased: set[str]) -> list[Period]:
    """When an alias belonged to one of the users."""
    periods: list[Period] = []
    for i, (time, user) in enumerate(intervals):
        since = time if i else 0
        end = intervals[i + 1][0] if i + 1 < len(intervals) else _EVER
        if user in erased and since < end:
            periods.append((since, end))
    return periods

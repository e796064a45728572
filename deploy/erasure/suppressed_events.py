"""The rows of suppressed events in ClickHouse, and of their touches: how many there are, and their deletion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from deploy.erasure.statements import Statements, parcels
from schemas.config.definitions import Level
from schemas.event import AliasKind
from streams.erasure.plan import Erasure, EventLog, Request
from streams.messages.updates import Alias
from streams.normalise.suppression_list import Period, SuppressedKind, SuppressionList


class NamedSuppression(NamedTuple):
    """A suppression with the ids behind its digests. `exempt`: those that any event carries."""

    kind: SuppressedKind
    id: str
    periods: list[Period]
    exempt: list[Alias]


#: Of `suppressed_events.sql`, in the order of deletion.
_RANKS: Final = (0, 1, 2, 3)
_ALL_RANKS: Final = -1


def named_suppressions(
    request: Request, erasure: Erasure, suppressions: SuppressionList, log: EventLog
) -> list[NamedSuppression]:
    """The suppressions of an erasure, with ids."""
    others = erasure.aliases | {other for _, other in log.seen_with(erasure.aliases)}
    aliases = {digest: alias for alias in others for digest in suppressions.digests_of(*alias)}
    return sorted(
        NamedSuppression(
            kind, identifier, one.periods, sorted(aliases[digest] for digest in one.exempt if digest in aliases)
        )
        for kind, identifier in _suppressed_ids(request, erasure)
        for one in suppressions.entries_of(kind, identifier)
    )


def ids_of(suppressions: Iterable[NamedSuppression]) -> set[tuple[SuppressedKind, str]]:
    """The ids that are suppressed."""
    return {(one.kind, one.id) for one in suppressions}


def _suppressed_ids(request: Request, erasure: Erasure) -> Iterator[tuple[SuppressedKind, str]]:
    if request.level == "company":
        yield "company_id", request.id
    for user in erasure.users:
        yield "user_id", user
    for kind, alias in erasure.aliases:
        yield kind, alias
        if kind == "api_key":
            yield "company_key", alias
        elif kind == "session_token":
            yield "lone_session", alias


def count_events(statements: Statements, level: Level, suppressions: Iterable[NamedSuppression]) -> int:
    """How many rows of events are suppressed; one of several suppressions may be counted several times."""
    return sum(
        statements.count("suppressed_events", {**_values(some), "level": level, "rank": _ALL_RANKS})
        for some in parcels(suppressions)
    )


def delete_events(statements: Statements, level: Level, suppressions: Sequence[NamedSuppression]) -> None:
    """Delete the rows of suppressed events.

    Those that show whose the aliases are go last, merges at the very end. So what is left after an interruption still
    leads to all aliases.
    """
    for rank in _RANKS:
        for some in parcels(suppressions):
            statements.delete("suppressed_events", {**_values(some), "level": level, "rank": rank})


def count_touches(statements: Statements, suppressions: Iterable[NamedSuppression]) -> int:
    """How many rows of touches and outreach are suppressed."""
    return sum(statements.count("suppressed_touches", _values(some)) for some in parcels(suppressions))


def delete_touches(statements: Statements, suppressions: Iterable[NamedSuppression]) -> None:
    """Delete the touches and the outreach of suppressed events."""
    for some in parcels(suppressions):
        statements.delete("suppressed_touches", _values(some))


def delete_displaced(statements: Statements, aliases: Iterable[tuple[AliasKind, str]]) -> None:
    """Delete the rows that displace copies of events, but for those that an earlier copy still needs."""
    for some in parcels(aliases):
        doomed = []
        for kind, alias, content, weeks, displaced in statements.rows("displaced", {"aliases": some}):
            needed = set(weeks) - {min(weeks, default=None)}
            doomed += [(kind, alias, content, time) for time, week in displaced if week not in needed]
        for rows in parcels(doomed):
            statements.delete("displacing_rows", {"rows": rows})


def _values(suppressions: Sequence[NamedSuppression]) -> dict[str, object]:
    return {"ids": sorted({one.id for one in suppressions}), "suppressions": [tuple(one) for one in suppressions]}

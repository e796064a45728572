"""The rows of suppressed events in ClickHouse, and of their touches: how many there are, and their deletion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from deploy.erasure.statements import Statements, parcels
from schemas.config.definitions import Level
from schemas.event import AliasKind
from streams.erasure.plan import Erasure, Request
from streams.normalise.suppression_list import SuppressedKind, SuppressionList

#: A suppressed period with the id that it is about: (kind, id, from, before) in milliseconds.
NamedPeriod = tuple[SuppressedKind, str, int, int]

#: Of `suppressed_events.sql`, in the order of deletion.
_RANKS: Final = (0, 1, 2)
_ALL_RANKS: Final = -1


def named_periods(request: Request, erasure: Erasure, suppressions: SuppressionList) -> list[NamedPeriod]:
    """The suppressed periods of an erasure with the ids behind their digests."""
    return sorted(
        {
            (kind, identifier, since, until)
            for kind, identifier in _suppressed_ids(request, erasure)
            for since, until in suppressions.periods_of(kind, identifier)
        }
    )


def _suppressed_ids(request: Request, erasure: Erasure) -> Iterator[tuple[SuppressedKind, str]]:
    if request.level == "company":
        yield "company_id", request.id
    for user in erasure.users:
        yield "user_id", user
    for kind, alias in erasure.aliases:
        yield kind, alias
        if kind == "api_key":
            yield "company_key", alias


def count_events(statements: Statements, level: Level, periods: Iterable[NamedPeriod]) -> int:
    """How many rows of events are suppressed; one that several periods cover may be counted several times."""
    return sum(
        statements.count("suppressed_events", {**_values(some), "level": level, "rank": _ALL_RANKS})
        for some in parcels(periods)
    )


def delete_events(statements: Statements, level: Level, periods: Sequence[NamedPeriod]) -> None:
    """Delete the rows of suppressed events.

    Those that show whose the aliases are go last, merges at the very end. So what is left after an interruption still
    leads to all aliases.
    """
    for rank in _RANKS:
        for some in parcels(periods):
            statements.delete("suppressed_events", {**_values(some), "level": level, "rank": rank})


def count_touches(statements: Statements, periods: Iterable[NamedPeriod]) -> int:
    """How many rows of touches and outreach are suppressed."""
    return sum(statements.count("suppressed_touches", _values(some)) for some in parcels(periods))


def delete_touches(statements: Statements, periods: Iterable[NamedPeriod]) -> None:
    """Delete the touches and the outreach of suppressed events."""
    for some in parcels(periods):
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


def _values(periods: Sequence[NamedPeriod]) -> dict[str, object]:
    return {"ids": sorted({identifier for _, identifier, _, _ in periods}), "periods": list(periods)}

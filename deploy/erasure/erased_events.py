"""The rows of void events in ClickHouse, and of the touches that they were: how many there are, and their deletion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from deploy.erasure.statements import Statements, parcels
from schemas.config.definitions import Level
from schemas.event import AliasKind
from streams.erasure.plan import Erasure, Request
from streams.normalise.suppression_list import SuppressedKind, SuppressionList

#: A mark's period with the id that it is about: (kind, id, from, before) in milliseconds.
NamedPeriod = tuple[SuppressedKind, str, int, int]

#: As `delete_void.sql` says.
_RANKS: Final = 3


def named_periods(request: Request, erasure: Erasure, marks: SuppressionList) -> list[NamedPeriod]:
    """The marks of an erasure with the ids behind them."""
    return sorted(
        {
            (kind, identifier, since, until)
            for kind, identifier in _marked(request, erasure)
            for since, until in marks.periods_of(kind, identifier)
        }
    )


def _marked(request: Request, erasure: Erasure) -> Iterator[tuple[SuppressedKind, str]]:
    if request.level == "company":
        yield "company_id", request.id
    for user in erasure.users:
        yield "user_id", user
    for kind, alias in erasure.aliases:
        yield kind, alias
        if kind == "api_key":
            yield "company_key", alias


def count_void(statements: Statements, periods: Iterable[NamedPeriod]) -> int:
    """How many rows are void; one that several marks cover may be counted several times."""
    return sum(_void(statements, some) for some in parcels(periods))


def delete_void(statements: Statements, level: Level, periods: Sequence[NamedPeriod]) -> None:
    """Delete the rows of void events, those that say whose the aliases are at last."""
    for rank in range(_RANKS):
        for some in parcels(periods):
            if _void(statements, some):
                statements.run("delete_void", {**_values(some), "level": level, "rank": rank})


def count_void_touches(statements: Statements, periods: Iterable[NamedPeriod]) -> int:
    """How many rows of touches and outreach are void."""
    return sum(int(statements.rows("void_touches", _values(some))[0][0]) for some in parcels(periods))


def delete_void_touches(statements: Statements, periods: Iterable[NamedPeriod]) -> None:
    """Delete the touches and the outreach of void events."""
    for some in parcels(periods):
        if count_void_touches(statements, some):
            statements.run("delete_void_touches", _values(some))


def delete_displaced(statements: Statements, aliases: Iterable[tuple[AliasKind, str]]) -> None:
    """Delete the rows that displace copies of events, but for those that an earlier copy still needs."""
    for some in parcels(aliases):
        doomed = []
        for kind, alias, content, weeks, displaced in statements.rows("displaced", {"aliases": some}):
            earliest = min(weeks, default=None)
            needed = set() if earliest is None else set(weeks) - {earliest}
            doomed += [(kind, alias, content, time) for time, week in displaced if week not in needed]
        for rows in parcels(doomed):
            statements.run("delete_displaced", {"rows": rows})


def _void(statements: Statements, periods: Sequence[NamedPeriod]) -> int:
    return int(statements.rows("void_rows", _values(periods))[0][0])


def _values(periods: Sequence[NamedPeriod]) -> dict[str, object]:
    return {"ids": sorted({identifier for _, identifier, _, _ in periods}), "periods": list(periods)}

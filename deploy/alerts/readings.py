"""Reads the series of monitors, with the same named queries that show them to a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from clickhouse_connect.driver import Client

from deploy.alerts.wording import reading_of
from deploy.queries.catalog import bind, find_query
from schemas.config.monitors import ConversionMonitor, FirstCallMonitor, Monitor, SilenceMonitor, TokensMonitor
from streams.alerting.series import HOUR_MS, WEEK, HourCount, Scope, Series, gather

_NEWEST = (
    "SELECT source, max(received_at), countIf(received_at > {since:Int64}) FROM event_rows"
    " WHERE source = {source:String} AND received_at <= {until:Int64} GROUP BY source"
)
#: The longest gap of a usual day: that of all but one day in twenty, so that a past outage is none.
_USUAL_DAYS = 0.95


@dataclass(frozen=True)
class Freshness:
    """What was received from a source: the newest time, and how many events after `since`. Milliseconds since 1970."""

    newest: int
    count: int


def read_series(client: Client, monitor: Monitor, until: int, weeks: int) -> dict[Scope, Series]:
    """The hourly series of a monitor up to an hour: so many weeks of past, and the evaluated week."""
    rows = _rows(client, monitor, until, weeks)
    shares, recurring = isinstance(monitor, ConversionMonitor | FirstCallMonitor), isinstance(monitor, TokensMonitor)
    return gather((_count(row) for row in rows), until, _hours(weeks), shares=shares, recurring=recurring)


def read_longest_gap(client: Client, monitor: SilenceMonitor, until: int, weeks: int) -> int:
    """The longest time without an event on a usual day, in milliseconds, the last week left aside."""
    longest: dict[int, float] = {}
    for row in _rows(client, monitor, until - WEEK, weeks):
        day = _count(row).hour // 24
        longest[day] = max(longest.get(day, 0.0), float(row["longest_gap_seconds"]))
    if not longest:
        return 0
    return int(1000 * float(np.quantile(list(longest.values()), _USUAL_DAYS, method="lower")))


def read_newest(client: Client, source: str, since: int, until: int) -> Freshness | None:
    rows = client.query(_NEWEST, {"source": source, "since": since, "until": until}).result_rows
    return Freshness(int(rows[0][1]), int(rows[0][2])) if rows else None


def _rows(client: Client, monitor: Monitor, until: int, weeks: int) -> list[dict[str, Any]]:
    name, parameters = reading_of(monitor, list(getattr(monitor, "segments", ())))
    query = find_query(name)
    values = bind(query, {**parameters, "from": _text(until - _hours(weeks)), "to": _text(until)})
    return list(client.query(query.sql, values).named_results())


def _hours(weeks: int) -> int:
    # The weeks before the evaluated one, and one more so that the first of them is whole.
    return (weeks + 2) * WEEK


def _count(row: dict[str, Any]) -> HourCount:
    end = row["hour"]
    assert isinstance(end, datetime)
    hour = round(end.replace(tzinfo=UTC).timestamp() * 1000) // HOUR_MS
    return HourCount(Scope(row["segment"], row["value"]), hour, int(row["count"] or 0), int(row["trials"]))


def _text(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d %H:%M:%S}"

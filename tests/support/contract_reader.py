"""Reads the views of the read contract into the form of the reference, so that the two can be compared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from clickhouse_connect.driver import Client

from sinks.reconcile import reconcile
from tests.support.reference import Published, Record, Resolved
from tests.support.worlds import as_bytes

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_contract(client: Client) -> Published:
    """Everything that the views hold, once reconciled."""
    reconcile(client)
    published = Published()
    published.identities = {
        (kind, alias, level, parent, ms(time))
        for kind, alias, level, parent, time in rows(
            client, "SELECT alias_kind, alias, level, parent, from_time FROM identities"
        )
    }
    published.developers = _profiles(client, "developer", "developers", "kind, company_id, is_bot")
    published.companies = _profiles(client, "company", "companies", "'company', '', false")
    published.activity = {
        (level, subject, environment, ms(hour))
        for level, subject, environment, hour in rows(
            client, "SELECT level, subject_id, environment, hour FROM activity"
        )
    }
    for segment, metric, level, window_hours, hour, change in rows(client, _CHANGES):
        place = (metric, level, window_hours, ms(hour))
        if segment[0]:
            published.rolling_by_segment[(*segment, *place)] = change
        else:
            published.rolling[place] = change
    values = rows(client, _COUNTS)
    # The view ends before what has not begun; so far it holds the same.
    end = max((ms(hour) for *_, hour, _ in values), default=0)
    changes = {(("", ""), *place): change for place, change in published.rolling.items()} | {
        (place[:2], *place[2:]): change for place, change in published.rolling_by_segment.items()
    }
    assert _steps(values) == {place: change for place, change in changes.items() if place[-1] <= end}
    for *key, developer, company, time in rows(
        client,
        "SELECT message_id, alias_kind, alias, developer_id, company_id, time FROM events_resolved ORDER BY time",
    ):
        message_id, kind, alias = key
        published.event_rows.add((message_id, kind, alias, developer, company, ms(time)))
        published.events.setdefault((message_id, kind, alias), Resolved(developer, company, ms(time)))
    return published


def _profiles(client: Client, level: str, view: str, more: str) -> dict[str, Any]:
    reached: dict[str, dict[str, tuple[int, int]]] = {}
    for subject, definition, anchor, activated in rows(
        client, f"SELECT subject_id, definition, anchor_at, activated_at FROM activations WHERE level = '{level}'"
    ):
        reached.setdefault(subject, {})[definition] = (ms(anchor), ms(activated))
    touch = ", ".join(
        f"'{field}', first_touch_{field}"
        for field in ("campaign", "source", "medium", "term", "content", "referrer", "path", "name")
    )
    profiles = {}
    for subject, kind, company, is_bot, first, last, stages, segments, touched, first_touch, is_internal in rows(
        client,
        f"SELECT id, {more}, first_seen, last_active, stages, segments, first_touch_at,"
        f" mapFilter((field, text) -> text != '', map({touch})), is_internal FROM {view}",
    ):
        profiles[subject] = {
            "kind": kind,
            "company_id": company,
            "first_seen": optional_ms(first),
            "last_active": optional_ms(last),
            "stages": {name: ms(time) for name, time in stages.items()},
            "activations": reached.get(subject, {}),
            "first_touch_at": optional_ms(touched),
            "first_touch": first_touch,
            "segments": segments,
            "is_internal": is_internal,
            "is_bot": is_bot,
        }
    return profiles


def _steps(values: list[tuple[Any, ...]]) -> dict[tuple[Any, ...], int]:
    """The differences from hour to hour of each series. Fails unless its hours follow each other without a gap."""
    steps = {}
    for series, points in groupby(values, key=lambda row: row[:4]):
        before, hour_before = 0, None
        for *_, hour, value in points:
            assert hour_before is None or hour - hour_before == timedelta(hours=1), (series, hour_before, hour)
            if value != before:
                steps[(*series, ms(hour))] = value - before
            before, hour_before = value, hour
    return steps


#: The changes of rolling counts, and the counts: segment and value, metric, level, window, hour, number.
_CHANGES: Final = """
SELECT (segment, segment_value), metric, level, window_hours, hour, change FROM rolling_changes
"""
_COUNTS: Final = (
    "SELECT (segment, segment_value), metric, level, window_hours, hour, value FROM rolling_counts ORDER BY ALL"
)

#: The key of `usage_resolved`, as the view and as `events_resolved` has it, and the counts of both; nothing if they agree.
_USAGE_DIFFERENCES: Final = """
WITH
    counted AS
    (
        SELECT * EXCEPT (alias_hash, events, successes, client_errors, server_errors, latency_events, latency_ms, hours), toInt64(events) AS events,
            toInt64(successes) AS successes, toInt64(client_errors) AS client_errors, toInt64(server_errors) AS server_errors,
            toInt64(latency_events) AS latency_events, toInt64(round(1000 * latency_ms)) AS latency_us,
            CAST(mapApply((hour, uses) -> (hour, toInt64(uses)), hours), 'Map(UInt8, Int64)') AS hours
        FROM usage_resolved
    ),
    published AS
    (
        SELECT toDate(time) AS day, developer_id, company_id, alias_kind, alias, api_key, event_company_id, environment,
            source, type, name, sdk, is_internal, is_bot,
            toInt64(-1) AS events, -toInt64(ifNull(status, 0) BETWEEN 200 AND 299) AS successes,
            -toInt64(ifNull(status, 0) BETWEEN 400 AND 499) AS client_errors,
            -toInt64(ifNull(status, 0) BETWEEN 500 AND 599) AS server_errors,
            -toInt64(isNotNull(latency_ms)) AS latency_events, -toInt64(round(1000 * ifNull(latency_ms, 0))) AS latency_us,
            if(is_use, map(toUInt8(ceil((toUnixTimestamp64Milli(time) % 86400000) / 3600000)), toInt64(-1)), CAST(map(), 'Map(UInt8, Int64)')) AS hours
        FROM events_resolved
    )
SELECT * EXCEPT (events, successes, client_errors, server_errors, latency_events, latency_us, hours), sum(events) AS more_events,
    sum(successes) AS more_successes, sum(client_errors) AS more_client_errors, sum(server_errors) AS more_server_errors,
    sum(latency_events) AS more_latency_events, sum(latency_us) AS more_latency_us,
    mapFilter((hour, uses) -> uses != 0, sumMap(hours)) AS more_uses
FROM (SELECT * FROM counted UNION ALL SELECT * FROM published)
GROUP BY ALL
HAVING more_events != 0 OR more_successes != 0 OR more_client_errors != 0 OR more_server_errors != 0
    OR more_latency_events != 0 OR more_latency_us != 0 OR notEmpty(more_uses)
"""


#: Counts of use of the API whose numbers are not those of their texts, or that `usage_resolved` has otherwise.
_API_USAGE_DIFFERENCES: Final = """
SELECT day, alias_kind, alias, developer_id FROM api_usage
WHERE developer_hash != cityHash64(developer_id) OR alias_hash != cityHash64(alias_kind, alias)
    OR is_known = match(developer_id, '^(api_key|session_token|anonymous_id):')
    OR token_hash NOT IN (SELECT cityHash64('api_key', if(first_hash != '', first_hash, api_key)) FROM (SELECT DISTINCT api_key FROM usage) AS used
        LEFT JOIN (SELECT alias, first_hash FROM identity_rows FINAL WHERE alias_kind = 'api_key') AS keys ON api_key = alias)
"""


def usage_differences(client: Client) -> list[tuple[Any, ...]]:
    """Where the counts of `usage_resolved` are not those of the events themselves: each key, and how much more it has.

    Then the counts of `api_usage` whose numbers are not those of their texts.
    """
    return rows(client, _USAGE_DIFFERENCES) + rows(client, _API_USAGE_DIFFERENCES)


def wire(one: Record) -> bytes:
    """The value of a record as it is on the wire."""
    value = as_bytes(one).value
    assert isinstance(value, bytes)
    return value


def rows(client: Client, query: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return [tuple(row) for row in client.query(query, parameters).result_rows]


def ms(time: datetime) -> int:
    """Milliseconds since 1970 of a time that ClickHouse gave, which is UTC."""
    return (time.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


def optional_ms(time: datetime | None) -> int | None:
    """The same of a time that may be missing."""
    return None if time is None else ms(time)

"""Reads the rows that the streams publish into the form of the reference, so that the two can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from streams.messages.outbox import Message
from tests.support.reference import Published
from tests.support.reference.published import WINDOWS

HOUR_MS = 3_600_000


class RowTopics:
    """The row topics, read like ClickHouse reads them: of each key, the row with the greatest version."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, bytes], dict[str, Any]] = {}

    def add(self, messages: Iterable[Message]) -> None:
        """Take in messages, in any order."""
        for message in messages:
            row = orjson.loads(message.value)
            known = self._rows.get((message.topic, message.key))
            if known is None or row.get("version", 0) >= known.get("version", 0):
                self._rows[message.topic, message.key] = row

    def rows(self, topic: str) -> list[dict[str, Any]]:
        """The rows of a topic that are not deleted."""
        return [row for (name, _), row in self._rows.items() if name == topic and not row.get("is_deleted")]

    def published(self) -> Published:
        """Everything that is compared, but for events, which the streams do not publish."""
        published = Published()
        users = {row["alias"]: row for row in self.rows("identities") if row["alias_kind"] == "user_id"}
        for row in self.rows("identities"):
            alias = (row["alias_kind"], row["alias"])
            for developer, time in zip(row["developer_ids"], row["developer_from"], strict=True):
                published.identities.add((*alias, "developer", developer, ms(time)))
            if row["device_id"]:
                published.identities.add((*alias, "device", row["device_id"], ms(row["device_from"])))
            if row["company_id"]:
                published.identities.add((*alias, "company", row["company_id"], ms(row["company_from"])))
            elif row["alias_kind"] == "user_id" and row["developer_ids"]:
                company = users.get(row["developer_ids"][0], {}).get("company_id")
                if company:
                    published.identities.add((*alias, "company", company, 0))
        for row in self.rows("profiles"):
            profiles = published.developers if row["level"] == "developer" else published.companies
            profiles[row["id"]] = _profile(row)
        for row in self.rows("activity"):
            start = ms(row["day"] + " 00:00:00.000")
            for hour in range(24):
                if row["hours"] >> hour & 1:
                    published.activity.add((row["level"], row["id"], row["environment"], start + hour * HOUR_MS))
        for row in self.rows("rolling-counts"):
            for window, hour, delta in _in_windows(row["window_hours"], ms(row["hour"]), row["delta"]):
                place = (row["metric"], row["level"], window, hour)
                if row["segment"]:
                    by_value = (row["segment"], row["segment_value"], *place)
                    published.rolling_by_segment[by_value] = published.rolling_by_segment.get(by_value, 0) + delta
                else:
                    published.rolling[place] = published.rolling.get(place, 0) + delta
        published.rolling = {place: delta for place, delta in published.rolling.items() if delta}
        by_segment = published.rolling_by_segment
        published.rolling_by_segment = {place: delta for place, delta in by_segment.items() if delta}
        return published


def _in_windows(window_hours: int, hour: int, delta: int) -> list[tuple[int, int, int]]:
    """The changes (window, hour, by how much) of a row: one of no window counts in every one that holds it."""
    if window_hours:
        return [(window_hours, hour, delta)]
    return [
        change for window in WINDOWS for change in ((window, hour, delta), (window, hour + window * HOUR_MS, -delta))
    ]


def ms(text: str) -> int:
    """Milliseconds of a time as it is published."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _profile(row: dict[str, Any]) -> Any:
    return {
        "kind": row["kind"],
        "company_id": row["company_id"],
        "first_seen": _optional(row["first_seen"]),
        "last_active": _optional(row["last_active"]),
        "stages": {name: ms(time) for name, time in row["stages"].items()},
        "activations": {
            name: (ms(row["activation_anchors"][name]), ms(time)) for name, time in row["activations"].items()
        },
        "first_touch_at": _optional(row["first_touch_at"]),
        "first_touch": row["first_touch"],
        "segments": row["segments"],
        "is_internal": bool(row["is_internal"]),
        "is_bot": bool(row["is_bot"]),
    }


def _optional(time: str | None) -> int | None:
    return None if time is None else ms(time)

"""Firstcall's own JSON: an event's own field names."""

from __future__ import annotations

from typing import Any, Final

from schemas.event import EventType, Rejected
from streams.normalise.clock import Times, shown
from streams.normalise.raw_event import TEXTS, Raw, raw_event

_TYPES: Final[dict[Any, EventType]] = {
    None: "event",
    "event": "event",
    "identify": "identify",
    "group": "group",
    "merge": "merge",
}
_NAMES: Final = {"identify": "Identify", "group": "Group", "merge": "Merge"}


def read_native(body: dict[str, Any]) -> Raw | Rejected:
    get = body.get
    kind = get("type")
    event_type = _TYPES.get(kind) if kind is None or type(kind) is str else None
    if event_type is None:
        return Rejected("unknown_type", "type", f"{shown(kind)} is not one of event, identify, group, merge")
    name = get("name")
    if name is None or name == "":
        name = _NAMES.get(event_type, "")
    return raw_event(
        event_type,
        name,
        Times(get("time"), get("original_timestamp"), get("sent_at"), get("received_at")),
        get("source"),
        [get(field, "") for field in TEXTS],
        get("properties"),
        get("context"),
        get("traits"),
    )

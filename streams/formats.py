"""The two dialects that events arrive in, read into one shape: Firstcall's own JSON and Segment's calls."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.event import EventType, Rejected
from streams.clock import Times, shown


class Raw(msgspec.Struct, gc=False):
    """The fields of an event as they were given, the same names in both dialects. `api_key` is still the key."""

    type: EventType
    name: str
    times: Times
    source: Any
    message_id: str
    anonymous_id: str
    session_token: str
    api_key: str
    user_id: str
    company_id: str
    previous_id: str
    environment: str
    properties: dict[str, Any]
    context: dict[str, Any]
    traits: dict[str, Any]


_NATIVE_TYPES: Final[dict[Any, EventType]] = {
    None: "event",
    "event": "event",
    "identify": "identify",
    "group": "group",
    "merge": "merge",
}
_NATIVE_NAMES: Final = {"identify": "Identify", "group": "Group", "merge": "Merge"}
_SEGMENT_TYPES: Final[dict[Any, tuple[EventType, str]]] = {
    "track": ("event", ""),
    "page": ("event", "Page Viewed"),
    "screen": ("event", "Screen Viewed"),
    "identify": ("identify", "Identify"),
    "group": ("group", "Group"),
    "alias": ("merge", "Alias"),
}
_SEGMENT_ONLY: Final = frozenset(
    [
        "messageId",
        "anonymousId",
        "userId",
        "groupId",
        "previousId",
        "sentAt",
        "originalTimestamp",
        "receivedAt",
        "timestamp",
        "event",
    ]
)
_SEGMENT_TIME_NAMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")


def speaks_segment(body: dict[str, Any]) -> bool:
    """Whether the object is one of Segment's calls: by its type, else by field names that only Segment has."""
    kind = body.get("type")
    if isinstance(kind, str) and kind in ("track", "page", "screen", "alias"):
        return True
    return not _SEGMENT_ONLY.isdisjoint(body)


def read_native(body: dict[str, Any]) -> Raw | Rejected:
    """An event in Firstcall's own JSON: the field names of the event itself."""
    kind = body.get("type")
    event_type = _NATIVE_TYPES.get(kind) if isinstance(kind, str | None) else None
    if event_type is None:
        return Rejected("unknown_type", "type", f"{shown(kind)} is not one of event, identify, group, merge")
    get = body.get
    return _checked(
        event_type,
        get("name") or _NATIVE_NAMES.get(event_type, ""),
        Times(get("time"), get("original_timestamp"), get("sent_at"), get("received_at")),
        get("source"),
        {
            "message_id": get("message_id"),
            "anonymous_id": get("anonymous_id"),
            "session_token": get("session_token"),
            "api_key": get("api_key"),
            "user_id": get("user_id"),
            "company_id": get("company_id"),
            "previous_id": get("previous_id"),
            "environment": get("environment"),
        },
        properties=get("properties"),
        context=get("context"),
        traits=get("traits"),
    )


def read_segment(body: dict[str, Any]) -> Raw | Rejected:
    """One of Segment's calls. What Segment has no field for is looked up in `context`, then in `properties`."""
    kind = body.get("type")
    known = _SEGMENT_TYPES.get(kind) if isinstance(kind, str) else None
    if known is None:
        return Rejected("unknown_type", "type", f"{shown(kind)} is not one of {', '.join(_SEGMENT_TYPES)}")
    event_type, name = known
    get = body.get
    context = get("context")
    properties = get("properties")
    in_context = context if isinstance(context, dict) else {}
    in_properties = properties if isinstance(properties, dict) else {}

    def beside(*names: str) -> Any:
        for holder in (in_context, in_properties):
            for field in names:
                if holder.get(field) not in (None, ""):
                    return holder[field]
        return None

    raw = _checked(
        event_type,
        name or get("event"),
        Times(get("timestamp"), get("originalTimestamp"), get("sentAt"), get("receivedAt"), _SEGMENT_TIME_NAMES),
        get("source"),
        {
            "message_id": get("messageId"),
            "anonymous_id": get("anonymousId"),
            "session_token": beside("sessionToken", "session_token"),
            "api_key": beside("apiKey", "api_key"),
            "user_id": get("userId"),
            "company_id": get("groupId") or beside("groupId", "group_id", "company_id"),
            "previous_id": get("previousId"),
            "environment": beside("environment"),
        },
        properties=properties,
        context=context,
        traits=get("traits"),
    )
    if isinstance(raw, Raw) and kind in ("page", "screen"):
        raw.properties = _with_page(raw.properties, in_context.get("page"))
    return raw


def _with_page(properties: dict[str, Any], page: Any) -> dict[str, Any]:
    """A page call's properties, completed from `context.page`, where Segment's libraries put them too."""
    if not isinstance(page, dict):
        return properties
    missing = {k: page[k] for k in ("path", "url", "referrer", "title") if k in page and k not in properties}
    return properties | missing if missing else properties


def _checked(
    event_type: EventType,
    name: Any,
    times: Times,
    source: Any,
    texts: dict[str, Any],
    *,
    properties: Any,
    context: Any,
    traits: Any,
) -> Raw | Rejected:
    if name is None:
        name = ""
    if type(name) is not str:
        return Rejected("wrong_type", "name", f"a text is expected, not {type(name).__name__}")
    for field, value in texts.items():
        if type(value) is str:
            continue
        if value is None:
            texts[field] = ""
        elif type(value) is int:
            texts[field] = str(value)
        else:
            return Rejected("wrong_type", field, f"a text is expected, not {type(value).__name__}")
    for field, value in (("properties", properties), ("context", context), ("traits", traits)):
        if value is not None and type(value) is not dict:
            return Rejected("wrong_type", field, f"an object is expected, not {type(value).__name__}")
    return Raw(
        event_type,
        name,
        times,
        source,
        properties=properties or {},
        context=context or {},
        traits=traits or {},
        **texts,
    )

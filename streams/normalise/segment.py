"""Segment's calls: `track`, `page`, `screen`, `identify`, `group`, `alias`.

Source: https://segment.com/docs/connections/spec/ (common fields and the six calls). `integrations`, `channel`, `version` and
other instructions for routers are left out.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.event import EventType, Rejected
from streams.normalise.clock import Times, shown
from streams.normalise.raw_event import Raw, raw_event

_TYPES: Final[dict[Any, tuple[EventType, str]]] = {
    "track": ("event", ""),
    "page": ("event", "Page Viewed"),
    "screen": ("event", "Screen Viewed"),
    "identify": ("identify", "Identify"),
    "group": ("group", "Group"),
    "alias": ("merge", "Alias"),
}
_OWN_TYPES: Final = frozenset(["track", "page", "screen", "alias"])
_OWN_FIELDS: Final = frozenset(
    [
        *("messageId", "anonymousId", "userId", "groupId", "previousId"),
        *("sentAt", "originalTimestamp", "receivedAt", "timestamp", "event"),
    ]
)
#: What Segment has no field for, wherever it stands.
_BESIDE: Final = frozenset(
    ["sessionToken", "session_token", "apiKey", "api_key", "environment", "groupId", "group_id", "company_id"]
)
_TIME_NAMES: Final = ("timestamp", "originalTimestamp", "sentAt", "receivedAt")
_PAGE_FIELDS: Final = ("path", "url", "referrer", "title")


def speaks_segment(body: dict[str, Any]) -> bool:
    """Whether the object is one of Segment's calls: by its type, else by field names that only Segment has."""
    kind = body.get("type")
    return (type(kind) is str and kind in _OWN_TYPES) or not _OWN_FIELDS.isdisjoint(body)


def read_segment(body: dict[str, Any]) -> Raw | Rejected:
    """One of Segment's calls. What Segment has no field for is looked up in `context`, then in `properties`."""
    get = body.get
    kind = get("type")
    if kind is None and "event" in body:
        # Segment's HTTP API has an address for each call, so a body sent to it need not name its type.
        kind = "track"
    known = _TYPES.get(kind) if type(kind) is str else None
    if known is None:
        return Rejected("unknown_type", "type", f"{shown(kind)} is not one of {', '.join(_TYPES)}")
    event_type, name = known
    context = get("context")
    properties = get("properties")
    traits = get("traits")
    in_context = context if type(context) is dict else {}
    in_properties = properties if type(properties) is dict else {}

    if traits is None and type(in_context.get("traits")) is dict:
        traits = in_context["traits"]
    group = get("groupId", "")
    session = key = environment = ""
    if not (_BESIDE.isdisjoint(in_context) and _BESIDE.isdisjoint(in_properties)):
        session = _beside(in_context, in_properties, "sessionToken", "session_token")
        key = _beside(in_context, in_properties, "apiKey", "api_key")
        environment = _beside(in_context, in_properties, "environment")
        if group is None or group == "":
            group = _beside(in_context, in_properties, "groupId", "group_id", "company_id")
    raw = raw_event(
        event_type,
        name or get("event"),
        Times(get("timestamp"), get("originalTimestamp"), get("sentAt"), get("receivedAt"), _TIME_NAMES),
        get("source"),
        [
            get("messageId", ""),
            get("anonymousId", ""),
            session,
            key,
            get("userId", ""),
            group,
            get("previousId", ""),
            environment,
        ],
        properties,
        context,
        traits,
    )
    if type(raw) is Raw and (kind == "page" or kind == "screen"):  # noqa: PLR1714 - compared, not hashed
        raw.properties = _with_page(body, raw.properties, in_context.get("page"))
    return raw


def _beside(context: dict[str, Any], properties: dict[str, Any], *names: str) -> Any:
    for holder in (context, properties):
        for field in names:
            value = holder.get(field)
            if value is not None and value != "":
                return value
    return ""


def _with_page(body: dict[str, Any], properties: dict[str, Any], page: Any) -> dict[str, Any]:
    """The properties of a page or screen call, completed with its name and category, which stand beside them, and from
    `context.page`, where Segment's libraries repeat the address.
    """
    missing = {k: body[k] for k in ("name", "category") if k not in properties and type(body.get(k)) is str}
    if type(page) is dict:
        missing |= {k: page[k] for k in _PAGE_FIELDS if k in page and k not in properties}
    return properties | missing if missing else properties
